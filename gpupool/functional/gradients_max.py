"""Gradients of max pooling. The 2-D functions carry the documentation; the others differ in the number of axes only."""

from __future__ import annotations

from typing import Any

from .backward import backward
from .whole import extreme_request, whole_request


def max_pool2d_backward(
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
    """Gradient of `max_pool2d` with respect to x.

    Parameters
    ----------
    grad_output : array of x's library, of the shape and dtype that `max_pool2d` gives
        The gradient with respect to the result.
    x : array of floats, shape (..., H, W), or (..., H, W, C) with ``data_format="channels_last"``
        What was pooled.
    kernel_size, stride, padding, dilation, ceil_mode, nan_policy, data_format
        As they were for `max_pool2d`.
    indices : int64, uint8 or uint16 array of x's library, of grad_output's shape, optional
        What `max_pool2d` gave with `return_indices`, True or "offsets": x is then not read, only its shape, dtype and
        memory order.
    out : array, optional
        Where to write: of x's library, shape and dtype, any strides, no overlap with the other arrays.

    Returns
    -------
    array of x's library, shape, dtype and memory order
        Each window's gradient goes to the element that it chose: the first of equal ones, the last NaN. Where NaN is
        omitted, a window of nothing but NaN has chosen the last one, too.

    Raises
    ------
    ValueError, TypeError
        As `max_pool2d` would, and for arrays that do not belong together; before anything is written.

    Notes
    -----
    An element that several windows chose gets the sum, added in float32 (float64 for float64) in the windows'
    row-major order: the same call gives the same bits on every run. Indices outside their plane, and offsets that are
    no element's, are a ValueError; on a GPU that waits for the check, and while a graph is captured they are skipped
    instead. Of an index inside the plane but outside its own window the gradient is unspecified.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> x = np.array([[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 8.0, 1.0]])
    >>> gp.max_pool2d_backward(np.array([[0.5, 2.0]]), x, 2)
    array([[0. , 0.5, 0. , 0. ],
           [0. , 0. , 2. , 0. ]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = extreme_request("max_pool2d_backward", "max", 2, geometry, ceil_mode, True, nan_policy, data_format)
    return backward(request, grad_output, x, out, indices)


def max_pool1d_backward(
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
    """`max_pool2d_backward` of `max_pool1d`: x of shape (..., L), or (..., L, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.max_pool1d_backward(np.array([1.0, 2.0]), np.array([1.0, 5.0, 2.0, 0.0]), 2)
    array([0., 1., 2., 0.])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = extreme_request("max_pool1d_backward", "max", 1, geometry, ceil_mode, True, nan_policy, data_format)
    return backward(request, grad_output, x, out, indices)


def max_pool3d_backward(
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
    """`max_pool2d_backward` of `max_pool3d`: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.max_pool3d_backward(np.ones((1, 1, 1)), np.arange(8.0).reshape(2, 2, 2), 2)[1]
    array([[0., 0.],
           [0., 1.]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = extreme_request("max_pool3d_backward", "max", 3, geometry, ceil_mode, True, nan_policy, data_format)
    return backward(request, grad_output, x, out, indices)


def global_max_pool2d_backward(
    grad_output: Any,
    x: Any,
    *,
    keepdims: bool = True,
    indices: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_max_pool2d` with respect to x; arguments, result and errors as for `max_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_max_pool2d_backward(np.ones((1, 1)), np.array([[1.0, 5.0], [2.0, 0.0]]))
    array([[0., 1.],
           [0., 0.]])
    """
    request = whole_request("global_max_pool2d_backward", "max", 2, keepdims, None, data_format, nan_policy)
    return backward(request, grad_output, x, out, indices)


def global_max_pool1d_backward(
    grad_output: Any,
    x: Any,
    *,
    keepdims: bool = True,
    indices: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_max_pool1d` with respect to x; arguments, result and errors as for `max_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_max_pool1d_backward(np.ones(1), np.array([1.0, 5.0]))
    array([0., 1.])
    """
    request = whole_request("global_max_pool1d_backward", "max", 1, keepdims, None, data_format, nan_policy)
    return backward(request, grad_output, x, out, indices)


def global_max_pool3d_backward(
    grad_output: Any,
    x: Any,
    *,
    keepdims: bool = True,
    indices: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `global_max_pool3d` with respect to x; arguments, result and errors as for `max_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_max_pool3d_backward(np.ones((1, 1, 1)), np.arange(4.0).reshape(1, 2, 2))
    array([[[0., 0.],
            [0., 1.]]])
    """
    request = whole_request("global_max_pool3d_backward", "max", 3, keepdims, None, data_format, nan_policy)
    return backward(request, grad_output, x, out, indices)
