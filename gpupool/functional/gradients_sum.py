"""Gradients of sum pooling. The 2-D functions carry the documentation; the others differ in the axes only."""

from __future__ import annotations

from typing import Any

from .backward import backward
from .whole import whole_request, window_request


def sum_pool2d_backward(
    grad_output: Any,
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
    """Gradient of `sum_pool2d` with respect to x.

    Parameters
    ----------
    grad_output, x, kernel_size, stride, padding, dilation, ceil_mode, dtype, nan_policy, data_format, out
        As for `avg_pool2d_backward`, with `sum_pool2d` in the place of `avg_pool2d`.

    Returns
    -------
    array of x's library, shape, dtype and memory order
        Each window's gradient goes to all of its elements; where NaN is omitted, to those that are not NaN.

    Raises
    ------
    ValueError, TypeError
        As for `avg_pool2d_backward`.

    Notes
    -----
    Of x its shape, dtype and memory order matter, and where NaN is omitted which elements are NaN; sums as in
    `avg_pool2d_backward`.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.sum_pool2d_backward(np.array([[4.0, 8.0]]), np.zeros((2, 4)), 2)
    array([[4., 4., 8., 8.],
           [4., 4., 8., 8.]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = window_request("sum_pool2d_backward", "sum", 2, geometry, ceil_mode, data_format, dtype, nan_policy)
    return backward(request, grad_output, x, out)


def sum_pool1d_backward(
    grad_output: Any,
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
    """`sum_pool2d_backward` of `sum_pool1d`: x of shape (..., L), or (..., L, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.sum_pool1d_backward(np.array([1.0, 2.0]), np.zeros(3), 2, 1)
    array([1., 3., 2.])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = window_request("sum_pool1d_backward", "sum", 1, geometry, ceil_mode, data_format, dtype, nan_policy)
    return backward(request, grad_output, x, out)


def sum_pool3d_backward(
    grad_output: Any,
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
    """`sum_pool2d_backward` of `sum_pool3d`: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.sum_pool3d_backward(np.ones((1, 1, 1)), np.zeros((2, 1, 2)), (2, 1, 2))
    array([[[1., 1.]],
    <BLANKLINE>
           [[1., 1.]]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = window_request("sum_pool3d_backward", "sum", 3, geometry, ceil_mode, data_format, dtype, nan_policy)
    return backward(request, grad_output, x, out)


def global_sum_pool2d_backward(
    grad_output: Any,
    x: Any,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_sum_pool2d` with respect to x; arguments, result and errors as for `sum_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_sum_pool2d_backward(np.ones((1, 1)), np.zeros((1, 2)))
    array([[1., 1.]])
    """
    request = whole_request("global_sum_pool2d_backward", "sum", 2, keepdims, dtype, data_format, nan_policy)
    return backward(request, grad_output, x, out)


def global_sum_pool1d_backward(
    grad_output: Any,
    x: Any,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_sum_pool1d` with respect to x; arguments, result and errors as for `sum_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_sum_pool1d_backward(np.ones(1), np.zeros(2))
    array([1., 1.])
    """
    request = whole_request("global_sum_pool1d_backward", "sum", 1, keepdims, dtype, data_format, nan_policy)
    return backward(request, grad_output, x, out)


def global_sum_pool3d_backward(
    grad_output: Any,
    x: Any,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_sum_pool3d` with respect to x; arguments, result and errors as for `sum_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_sum_pool3d_backward(np.ones((1, 1, 1)), np.zeros((1, 1, 2)))
    array([[[1., 1.]]])
    """
    request = whole_request("global_sum_pool3d_backward", "sum", 3, keepdims, dtype, data_format, nan_policy)
    return backward(request, grad_output, x, out)
