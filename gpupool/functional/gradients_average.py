"""Gradients of average pooling. The 2-D functions carry the documentation; the others differ in the axes only."""

from __future__ import annotations

from typing import Any

from .average import avg_window
from .backward import backward
from .whole import whole_request


def avg_pool2d_backward(
    grad_output: Any,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    dilation: Any = 1,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `avg_pool2d` with respect to x.

    Parameters
    ----------
    grad_output : array of x's library, of the shape and dtype that `avg_pool2d` gives
        The gradient with respect to the result.
    x : array of floats, shape (..., H, W), or (..., H, W, C) with ``data_format="channels_last"``
        What was pooled.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As they were for `avg_pool2d`.
    dilation, dtype, nan_policy, data_format
        As they were for `avg_pool2d`.
    out : array, optional
        Where to write: of x's library, shape and dtype, any strides, no overlap with the other arrays.

    Returns
    -------
    array of x's library, shape, dtype and memory order
        Each window's gradient, divided by what the window was divided by, goes to all of its elements; where NaN is
        omitted, to those that are not NaN.

    Raises
    ------
    ValueError, TypeError
        As `avg_pool2d` would, and for arrays that do not belong together; before anything is written.

    Notes
    -----
    Only x's shape, dtype and memory order matter, not its elements, except for which are NaN where those are omitted:
    they get nothing, and the divisor is the forward's, without them. Sums are added in float32 (float64 for float64) in
    a fixed order: the same call gives the same bits on every run.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.avg_pool2d_backward(np.array([[4.0, 8.0]]), np.zeros((2, 4)), 2)
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = avg_window(
        "avg_pool2d_backward",
        2,
        geometry,
        ceil_mode,
        count_include_pad,
        divisor_override,
        dtype,
        data_format,
        nan_policy,
    )
    return backward(request, grad_output, x, out)


def avg_pool1d_backward(
    grad_output: Any,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    dilation: Any = 1,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`avg_pool2d_backward` of `avg_pool1d`: x of shape (..., L), or (..., L, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.avg_pool1d_backward(np.array([1.0, 2.0]), np.zeros(4), 2)
    array([0.5, 0.5, 1. , 1. ])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = avg_window(
        "avg_pool1d_backward",
        1,
        geometry,
        ceil_mode,
        count_include_pad,
        divisor_override,
        dtype,
        data_format,
        nan_policy,
    )
    return backward(request, grad_output, x, out)


def avg_pool3d_backward(
    grad_output: Any,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    dilation: Any = 1,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`avg_pool2d_backward` of `avg_pool3d`: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.avg_pool3d_backward(np.ones((1, 1, 1)), np.zeros((2, 1, 2)), (2, 1, 2))
    array([[[0.25, 0.25]],
    <BLANKLINE>
           [[0.25, 0.25]]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = avg_window(
        "avg_pool3d_backward",
        3,
        geometry,
        ceil_mode,
        count_include_pad,
        divisor_override,
        dtype,
        data_format,
        nan_policy,
    )
    return backward(request, grad_output, x, out)


def global_avg_pool2d_backward(
    grad_output: Any,
    x: Any,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_avg_pool2d` with respect to x; arguments, result and errors as for `avg_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_avg_pool2d_backward(np.ones((1, 1)), np.zeros((2, 2)))
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    request = whole_request("global_avg_pool2d_backward", "avg", 2, keepdims, dtype, data_format, nan_policy)
    return backward(request, grad_output, x, out)


def global_avg_pool1d_backward(
    grad_output: Any,
    x: Any,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_avg_pool1d` with respect to x; arguments, result and errors as for `avg_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_avg_pool1d_backward(np.ones(1), np.zeros(2))
    array([0.5, 0.5])
    """
    request = whole_request("global_avg_pool1d_backward", "avg", 1, keepdims, dtype, data_format, nan_policy)
    return backward(request, grad_output, x, out)


def global_avg_pool3d_backward(
    grad_output: Any,
    x: Any,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_avg_pool3d` with respect to x; arguments, result and errors as for `avg_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_avg_pool3d_backward(np.ones((1, 1, 1)), np.zeros((1, 1, 2)))
    array([[[0.5, 0.5]]])
    """
    request = whole_request("global_avg_pool3d_backward", "avg", 3, keepdims, dtype, data_format, nan_policy)
    return backward(request, grad_output, x, out)
