"""Gradients of Lp pooling. The 2-D functions carry the documentation; the others differ in the axes only."""

from __future__ import annotations

from typing import Any

from gpupool.request import hashable

from .backward import backward
from .whole import whole_request, window_request


def lp_pool2d_backward(
    grad_output: Any,
    x: Any,
    norm_type: Any,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
    *,
    padding: Any = 0,
    dilation: Any = 1,
    dtype: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `lp_pool2d` with respect to x.

    Parameters
    ----------
    grad_output : array of x's library, of the shape and dtype that `lp_pool2d` gives
        The gradient with respect to the result.
    x : array of floats, shape (..., H, W), or (..., H, W, C) with ``data_format="channels_last"``
        What was pooled.
    norm_type, kernel_size, stride, ceil_mode, padding, dilation, dtype, data_format
        As they were for `lp_pool2d`.
    out : array, optional
        Where to write: of x's library, shape and dtype, any strides, no overlap with the other arrays.

    Returns
    -------
    array of x's library, shape, dtype and memory order
        Of each window's gradient an element x gets ``sign(x) * (|x| / norm) ** (p - 1)``. Zeros get nothing, for
        any p. With p = inf each element of the largest ``|x|`` gets all of it, also where there are several. NaN
        propagates to all elements of its windows that are not 0, with p = 1 only to itself.

    Raises
    ------
    ValueError, TypeError
        As `lp_pool2d` would, and for arrays that do not belong together; before anything is written.

    Notes
    -----
    The norms are computed again, in float32 (float64 for float64); sums as in `avg_pool2d_backward`.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.lp_pool2d_backward(np.array([[10.0]]), np.array([[3.0, 0.0], [-4.0, 0.0]]), 2, 2)
    array([[ 6.,  0.],
           [-8.,  0.]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    p = hashable("norm_type", norm_type, "a positive number or inf")
    request = window_request("lp_pool2d_backward", "lp", 2, geometry, ceil_mode, data_format, dtype, "propagate", p)
    return backward(request, grad_output, x, out)


def lp_pool1d_backward(
    grad_output: Any,
    x: Any,
    norm_type: Any,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
    *,
    padding: Any = 0,
    dilation: Any = 1,
    dtype: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`lp_pool2d_backward` of `lp_pool1d`: x of shape (..., L), or (..., L, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.lp_pool1d_backward(np.array([1.0]), np.array([3.0, -4.0]), 1, 2)
    array([ 1., -1.])
    """
    geometry = (kernel_size, stride, padding, dilation)
    p = hashable("norm_type", norm_type, "a positive number or inf")
    request = window_request("lp_pool1d_backward", "lp", 1, geometry, ceil_mode, data_format, dtype, "propagate", p)
    return backward(request, grad_output, x, out)


def lp_pool3d_backward(
    grad_output: Any,
    x: Any,
    norm_type: Any,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
    *,
    padding: Any = 0,
    dilation: Any = 1,
    dtype: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`lp_pool2d_backward` of `lp_pool3d`: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.lp_pool3d_backward(np.ones((1, 1, 1)), np.array([[[1.0, -2.0]]]), np.inf, (1, 1, 2))
    array([[[ 0., -1.]]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    p = hashable("norm_type", norm_type, "a positive number or inf")
    request = window_request("lp_pool3d_backward", "lp", 3, geometry, ceil_mode, data_format, dtype, "propagate", p)
    return backward(request, grad_output, x, out)


def global_lp_pool2d_backward(
    grad_output: Any,
    x: Any,
    norm_type: Any = 2.0,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_lp_pool2d` with respect to x; arguments, result and errors as for `lp_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_lp_pool2d_backward(np.full((1, 1), 5.0), np.array([[3.0, 4.0]]))
    array([[3., 4.]])
    """
    p = hashable("norm_type", norm_type, "a positive number or inf")
    request = whole_request("global_lp_pool2d_backward", "lp", 2, keepdims, dtype, data_format, "propagate", p)
    return backward(request, grad_output, x, out)


def global_lp_pool1d_backward(
    grad_output: Any,
    x: Any,
    norm_type: Any = 2.0,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_lp_pool1d` with respect to x; arguments, result and errors as for `lp_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_lp_pool1d_backward(np.full(1, 5.0), np.array([3.0, 4.0]))
    array([3., 4.])
    """
    p = hashable("norm_type", norm_type, "a positive number or inf")
    request = whole_request("global_lp_pool1d_backward", "lp", 1, keepdims, dtype, data_format, "propagate", p)
    return backward(request, grad_output, x, out)


def global_lp_pool3d_backward(
    grad_output: Any,
    x: Any,
    norm_type: Any = 2.0,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_lp_pool3d` with respect to x; arguments, result and errors as for `lp_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_lp_pool3d_backward(np.full((1, 1, 1), 5.0), np.array([[[3.0, 4.0]]]))
    array([[[3., 4.]]])
    """
    p = hashable("norm_type", norm_type, "a positive number or inf")
    request = whole_request("global_lp_pool3d_backward", "lp", 3, keepdims, dtype, data_format, "propagate", p)
    return backward(request, grad_output, x, out)
