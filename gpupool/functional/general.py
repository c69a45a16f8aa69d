"""Any operator along any axes, and the shape that it gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpupool.dispatch import run
from gpupool.operators import named_options
from gpupool.plan import make_plan
from gpupool.reducer import Reducer
from gpupool.request import Request, flag, hashable, ints, window_ints


def pool(
    x: Any,
    op: str | Reducer,
    window: Any,
    *,
    axes: Any = None,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    dtype: Any = None,
    nan_policy: str = "propagate",
    out: Any = None,
    **options: Any,
) -> Any:
    """Pool any axes of an array of any number of dimensions.

    Parameters
    ----------
    x : array
        As for `max_pool2d`.
    op : "max", "min", "avg", "sum", "lp", "median", "mode", "any" or "all"
        The operator. "any" and "all" tell whether elements differ from zero (NaN does), as bool.
        Or a `Reducer` of your own, for which `count_include_pad` has no meaning.
    window : int or sequence of ints
        Taps per pooled axis. At most three axes may have a window, stride or padding that changes them.
    axes : int or sequence of ints, optional
        The pooled axes, in the order of `window`. Default: the last ``len(window)``, or all axes for an int.
    stride, padding, dilation, ceil_mode, out
        As for `max_pool2d`, one entry per pooled axis.
    count_include_pad, divisor_override, dtype
        As for `avg_pool2d`; `dtype` is for "avg", "sum", "lp", "median" and a `Reducer`.
    nan_policy : "propagate" or "omit"
        For "max", "min", "avg" and "sum": whether NaN is absent, as for `max_pool2d`, `avg_pool2d` and `sum_pool2d`.
    options
        The operator's own parameters: ``norm_type=2`` of "lp", ``ignore=None`` of "mode".

    Returns
    -------
    array of x's library and memory order, with the lengths that `output_shape` gives

    Raises
    ------
    ValueError, TypeError
        As for `max_pool2d`.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.pool(np.arange(12).reshape(4, 3), "max", 2, axes=0)
    array([[ 3,  4,  5],
           [ 9, 10, 11]])
    """
    if not isinstance(op, (str, Reducer)):
        raise TypeError(f"pool: op must be a string or a Reducer, got {op!r}")
    include = flag("count_include_pad", count_include_pad) and isinstance(op, str)
    request = Request(
        "pool", op, window_ints("window", window), ints("stride", stride), ints("padding", padding),
        ints("dilation", dilation), flag("ceil_mode", ceil_mode), include,
        ints("divisor_override", divisor_override), hashable("dtype", dtype, "a dtype"), axes=ints("axes", axes),
        nan_policy=hashable("nan_policy", nan_policy, "a string"), options=_own(op, options),
    )  # fmt: skip
    return run(x, request, out)


def _own(op: str | Reducer, given: dict[str, Any]) -> tuple:
    """The operator's own parameters in the order of its row, hashable."""
    try:
        values = named_options(op, given)
    except TypeError as error:
        raise TypeError(f"pool: {error}") from None
    return tuple([hashable("a parameter", value, "one value") for value in values])


def output_shape(
    shape: Any,
    window: Any,
    *,
    axes: Any = None,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[int, ...]:
    """The shape that `pool` gives for an array of this shape: integers only, nothing is computed.

    Parameters
    ----------
    shape : sequence of ints
        The input's shape.
    window, axes, stride, padding, dilation, ceil_mode
        As for `pool`.

    Returns
    -------
    tuple of ints

    Raises
    ------
    ValueError, TypeError
        As `pool` would.

    Examples
    --------
    >>> import gpupool as gp
    >>> gp.output_shape((8, 3, 225, 225), (3, 3), stride=2, padding=1)
    (8, 3, 113, 113)
    >>> gp.output_shape((5, 5), 2, ceil_mode=True)
    (3, 3)
    """
    sizes = ints("shape", shape)
    if not isinstance(sizes, tuple) or not all(isinstance(n, int) for n in sizes):
        raise TypeError(f"output_shape: shape must be a sequence of ints, got {shape!r}")
    if any(n < 0 for n in sizes):
        raise ValueError(f"output_shape: shape must not have negative lengths, got {sizes}")
    request = Request(
        "output_shape", "max", window_ints("window", window), ints("stride", stride),
        ints("padding", padding), ints("dilation", dilation), flag("ceil_mode", ceil_mode), axes=ints("axes", axes),
    )  # fmt: skip
    return make_plan(request, sizes, np.dtype(np.float32)).out_shape
