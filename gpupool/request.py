"""One call's arguments as given: cheap checks that make them hashable, before any array is looked at."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple, NoReturn

import numpy as np

OFFSETS = "offsets"  # the other positions than flat indices: numbers of taps in their windows


class Request(NamedTuple):
    """One call's arguments, hashable. `window=None` takes whole axes; `spatial` counts axes by `data_format`.

    `op` is the name of a row of the table of operators; `options` are that operator's own parameters.
    With an `output_size` the windows follow from it, and what is said of windows is not looked at.
    """

    name: str
    op: Any
    window: Any
    stride: Any = None
    padding: Any = 0
    dilation: Any = 1
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None
    dtype: Any = None
    indices: bool | str = False  # positions, too: flat ones, or OFFSETS
    keepdims: bool = True
    spatial: int | None = None
    data_format: str = "channels_first"
    axes: Any = None
    nan_policy: str = "propagate"
    options: tuple = ()
    output_size: Any = None


def fail(request: Request, error: Exception) -> NoReturn:
    """Raise the error with the public function's name in front."""
    raise type(error)(f"{request.name}: {error}") from None


def ints(name: str, value: Any) -> Any:
    """An int, or nested tuples of ints, from ints, NumPy integers, lists and tuples; strings and None as they are."""
    if type(value) is int or value is None or type(value) is str:
        return value
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0):
        return tuple([ints(name, v) for v in value])
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an int or a sequence of ints, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int or a sequence of ints, got {value!r}") from None


def flag(name: str, value: Any) -> bool:
    """True or False, nothing that merely counts as one."""
    if value is True or value is False:
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    raise TypeError(f"{name} must be True or False, got {value!r}")


def positions(value: Any) -> bool | str:
    """`flag` of the argument return_indices, which may be OFFSETS, too."""
    if isinstance(value, str) and value == OFFSETS:
        return OFFSETS
    try:
        return flag("return_indices", value)
    except TypeError:
        raise TypeError(f"return_indices must be True, False or {OFFSETS!r}, got {value!r}") from None


def window_ints(name: str, value: Any) -> Any:
    """`ints` of a window, which must be given."""
    if value is None:
        raise TypeError(f"{name} must be a positive int or a sequence of them, got None")
    return ints(name, value)


def hashable(name: str, value: Any, kind: str) -> Any:
    """The value itself, which later is one of few; a TypeError where it could be none of them."""
    try:
        hash(value)
    except TypeError:
        raise TypeError(f"{name} must be {kind}, got {value!r}") from None
    return value
