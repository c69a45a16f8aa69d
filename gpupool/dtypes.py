"""Which dtypes can be pooled, and the dtype of the result."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_float(dtype: np.dtype) -> bool:
    """float16, bfloat16, float32 or float64."""
    return (dtype.kind == "f" and dtype.itemsize <= 8) or dtype.name == "bfloat16"


def is_real(dtype: np.dtype) -> bool:
    """A dtype that can be pooled."""
    return dtype.kind in "biu" or is_float(dtype)


def dtype_of(value: Any) -> np.dtype:
    """A NumPy dtype from anything that names one, other libraries' dtype objects included."""
    try:
        return np.dtype(value)
    except TypeError:
        pass
    try:
        return np.dtype(str(value).rpartition(".")[2])
    except (TypeError, ValueError):  # NumPy 2.5 reads "slice(None, 1, None)" as a list of formats
        raise TypeError(f"dtype must be a real dtype, got {value!r}") from None


def check_real(dtype: np.dtype) -> None:
    """A TypeError that says what is allowed, for dtypes that cannot be pooled."""
    if not is_real(dtype):
        raise TypeError(
            f"x has dtype {dtype}, which cannot be pooled; allowed are bool, integers, float16, bfloat16, float32 "
            "and float64"
        )


def chosen_dtype(value: Any) -> np.dtype:
    """The result's dtype that the user asks for."""
    wanted = dtype_of(value)
    if not is_real(wanted) or wanted.kind == "b":
        raise TypeError(f"dtype must be an integer or real floating dtype, got {wanted}")
    return wanted.newbyteorder("=")


# -- the result's dtype for an input's, one rule for each kind of operator ---------------------------------------------


def as_input(dtype: np.dtype) -> np.dtype:
    """An element of the input."""
    return dtype


def of_mean(dtype: np.dtype) -> np.dtype:
    """Floats keep theirs; of bool and integers up to 16 bits float32, of wider ones float64."""
    if is_float(dtype):
        return dtype
    return np.dtype("float32" if dtype.itemsize <= 2 else "float64")


def of_sum(dtype: np.dtype) -> np.dtype:
    """NumPy's rule: floats keep theirs, unsigned integers give uint64, other integers and bool int64."""
    if is_float(dtype):
        return dtype
    return np.dtype("uint64" if dtype.kind == "u" else "int64")


def of_truth(dtype: np.dtype) -> np.dtype:  # noqa: ARG001 (one rule, one signature)
    """bool."""
    return np.dtype("bool")
