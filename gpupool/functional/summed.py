"""Sum pooling. The 2-D functions carry the documentation; the others differ in the number of pooled axes only."""

from __future__ import annotations

from typing import Any

from gpupool.dispatch import run

from .whole import whole_request, window_request


def sum_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Sum of each window that slides along two axes.

    Parameters
    ----------
    x, kernel_size, stride, padding, dilation, ceil_mode, data_format, out
        As for `max_pool2d`. Padding adds nothing.
    dtype : dtype, optional
        The result's dtype. Default: x's own for floats, uint64 for unsigned integers, int64 for other integers and bool
        (NumPy's rule). Another integer dtype rounds half to even and saturates; NaN becomes 0.
    nan_policy : "propagate" or "omit"
        Whether a NaN makes the sum NaN, or adds nothing; nothing but NaN then sums to 0.

    Returns
    -------
    array of x's library and memory order, shape (..., oH, oW) or (..., oH, oW, C)
        Integers are summed exactly; int64 and uint64 results wrap around as NumPy's do. Halves are summed in float32 or
        wider, float32 as accurately as in `avg_pool2d`; the sum is rounded once.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool2d`.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.sum_pool2d(np.array([[1, 5, 2, 0], [3, 4, 8, 1]]), 2)
    array([[13, 11]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = window_request("sum_pool2d", "sum", 2, geometry, ceil_mode, data_format, dtype, nan_policy)
    return run(x, request, out)


def sum_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`sum_pool2d` along one axis: x of shape (..., L), or (..., L, C) with ``data_format="channels_last"``.

    >>> import gpupool as gp
    >>> gp.sum_pool1d([1.0, 5.0, 2.0, 0.0], 2)
    array([6., 2.])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = window_request("sum_pool1d", "sum", 1, geometry, ceil_mode, data_format, dtype, nan_policy)
    return run(x, request, out)


def sum_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`sum_pool2d` along three axes: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.sum_pool3d(np.arange(8.0).reshape(2, 2, 2), 2)
    array([[[28.]]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = window_request("sum_pool3d", "sum", 3, geometry, ceil_mode, data_format, dtype, nan_policy)
    return run(x, request, out)


def global_sum_pool2d(
    x: Any,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Sum of each whole feature map: one number per plane.

    Parameters, shapes and errors as for `global_avg_pool2d`; dtypes, accuracy and NaN as for `sum_pool2d`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_sum_pool2d(np.arange(8.0).reshape(2, 2, 2), keepdims=False)
    array([ 6., 22.])
    """
    return run(x, whole_request("global_sum_pool2d", "sum", 2, keepdims, dtype, data_format, nan_policy), out)


def global_sum_pool1d(
    x: Any,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`global_sum_pool2d` over one axis: x of shape (..., L) or (..., L, C).

    >>> import gpupool as gp
    >>> gp.global_sum_pool1d([1.0, 2.0])
    array([3.])
    """
    return run(x, whole_request("global_sum_pool1d", "sum", 1, keepdims, dtype, data_format, nan_policy), out)


def global_sum_pool3d(
    x: Any,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`global_sum_pool2d` over three axes: x of shape (..., D, H, W) or (..., D, H, W, C).

    >>> import numpy as np, gpupool as gp
    >>> gp.global_sum_pool3d(np.arange(8).reshape(2, 2, 2))
    array([[[28]]])
    """
    return run(x, whole_request("global_sum_pool3d", "sum", 3, keepdims, dtype, data_format, nan_policy), out)
