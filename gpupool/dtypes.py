"""Which dtypes can be pooled, and the dtype of the result."""

from __future__ import annotations

from typing import Any

import numpy as np

from .request import Request


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
    except TypeError:
        raise TypeError(f"dtype must be a real dtype, got {value!r}") from None


def result_dtype(request: Request, dtype: np.dtype) -> np.dtype:
    """The dtype of the result, or a TypeError that says what is allowed."""
    if not is_real(dtype):
        raise TypeError(
            f"x has dtype {dtype}, which cannot be pooled; allowed are bool, integers, float16, bfloat16, float32 "
            "and float64"
        )
    if request.op == "max":
        if request.dtype is not None:
            raise TypeError(f"dtype must be None for 'max', which keeps the input's, got {request.dtype!r}")
        return dtype
    if request.dtype is not None:
        wanted = dtype_of(request.dtype)
        if not is_real(wanted) or wanted.kind == "b":
            raise TypeError(f"dtype must be an integer or real floating dtype, got {wanted}")
        return wanted.newbyteorder("=")
    if is_float(dtype):
        return dtype
    return np.dtype("float32" if dtype.itemsize <= 2 else "float64")
