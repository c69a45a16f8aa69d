"""Gradients of min pooling. The 2-D functions carry the documentation; the others differ in the number of axes only."""

from __future__ import annotations

from typing import Any

from .backward import backward
from .whole import extreme_request, whole_request


def min_pool2d_backward(
    grad_output: Any,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    indices: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `min_pool2d` with respect to x.

    Parameters
    ----------
    grad_output, x, kernel_size, stride, padding, dilation, ceil_mode, indices, nan_policy, data_format, out
        As for `max_pool2d_backward`, with `min_pool2d` in the place of `max_pool2d`.

    Returns
    -------
    array of x's library, shape, dtype and memory order
        Each window's gradient goes to the element that it chose: the first of equal ones, NaN as there.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool2d_backward`.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> x = np.array([[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 8.0, 1.0]])
    >>> gp.min_pool2d_backward(np.array([[0.5, 2.0]]), x, 2)
    array([[0.5, 0. , 0. , 2. ],
           [0. , 0. , 0. , 0. ]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = extreme_request("min_pool2d_backward", "min", 2, geometry, ceil_mode, True, nan_policy, data_format)
    return backward(request, grad_output, x, out, indices)


def min_pool1d_backward(
    grad_output: Any,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    indices: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`min_pool2d_backward` of `min_pool1d`: x of shape (..., L), or (..., L, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.min_pool1d_backward(np.array([1.0, 2.0]), np.array([1.0, 5.0, 2.0, 0.0]), 2)
    array([1., 0., 0., 2.])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = extreme_request("min_pool1d_backward", "min", 1, geometry, ceil_mode, True, nan_policy, data_format)
    return backward(request, grad_output, x, out, indices)


def min_pool3d_backward(
    grad_output: Any,
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    indices: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`min_pool2d_backward` of `min_pool3d`: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.min_pool3d_backward(np.ones((1, 1, 1)), np.arange(8.0).reshape(2, 2, 2), 2)[0]
    array([[1., 0.],
           [0., 0.]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = extreme_request("min_pool3d_backward", "min", 3, geometry, ceil_mode, True, nan_policy, data_format)
    return backward(request, grad_output, x, out, indices)


def global_min_pool2d_backward(
    grad_output: Any,
    x: Any,
    *,
    keepdims: bool = True,
    indices: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_min_pool2d` with respect to x; arguments, result and errors as for `min_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_min_pool2d_backward(np.ones((1, 1)), np.array([[1.0, 5.0], [2.0, 0.0]]))
    array([[0., 0.],
           [0., 1.]])
    """
    request = whole_request("global_min_pool2d_backward", "min", 2, keepdims, None, data_format, nan_policy)
    return backward(request, grad_output, x, out, indices)


def global_min_pool1d_backward(
    grad_output: Any,
    x: Any,
    *,
    keepdims: bool = True,
    indices: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_min_pool1d` with respect to x; arguments, result and errors as for `min_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_min_pool1d_backward(np.ones(1), np.array([1.0, 5.0]))
    array([1., 0.])
    """
    request = whole_request("global_min_pool1d_backward", "min", 1, keepdims, None, data_format, nan_policy)
    return backward(request, grad_output, x, out, indices)


def global_min_pool3d_backward(
    grad_output: Any,
    x: Any,
    *,
    keepdims: bool = True,
    indices: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_min_pool3d` with respect to x; arguments, result and errors as for `min_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_min_pool3d_backward(np.ones((1, 1, 1)), np.arange(4.0).reshape(1, 2, 2))
    array([[[1., 0.],
            [0., 0.]]])
    """
    request = whole_request("global_min_pool3d_backward", "min", 3, keepdims, None, data_format, nan_policy)
    return backward(request, grad_output, x, out, indices)
