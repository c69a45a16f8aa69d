"""Min pooling. The 2-D functions carry the documentation; the others differ in the number of pooled axes only."""

from __future__ import annotations

from typing import Any

from gpupool.dispatch import run

from .whole import extreme_request, whole_request


def min_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool | str = False,
    *,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Smallest element of each window that slides along two axes.

    Parameters
    ----------
    x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, nan_policy, data_format, out
        As for `max_pool2d`.

    Returns
    -------
    array of x's library, dtype and memory order, shape (..., oH, oW) or (..., oH, oW, C)
        Or a pair with `return_indices`; NaN, ties and positions as for `max_pool2d`.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool2d`.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.min_pool2d(np.array([[1, 5, 2, 0], [3, 4, 8, 1]]), 2)
    array([[1, 0]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = extreme_request("min_pool2d", "min", 2, geometry, ceil_mode, return_indices, nan_policy, data_format)
    return run(x, request, out)


def min_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool | str = False,
    *,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`min_pool2d` along one axis: x of shape (..., L), or (..., L, C) with ``data_format="channels_last"``.

    >>> import gpupool as gp
    >>> gp.min_pool1d([1.0, 5.0, 2.0, 0.0], 2)
    array([1., 0.])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = extreme_request("min_pool1d", "min", 1, geometry, ceil_mode, return_indices, nan_policy, data_format)
    return run(x, request, out)


def min_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool | str = False,
    *,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`min_pool2d` along three axes: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.min_pool3d(np.arange(8).reshape(2, 2, 2), 2)
    array([[[0]]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = extreme_request("min_pool3d", "min", 3, geometry, ceil_mode, return_indices, nan_policy, data_format)
    return run(x, request, out)


def global_min_pool2d(
    x: Any,
    *,
    keepdims: bool = True,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Smallest element of each whole feature map: one per plane.

    Parameters, shapes and errors as for `global_max_pool2d`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_min_pool2d(np.arange(8).reshape(2, 2, 2), keepdims=False)
    array([0, 4])
    """
    return run(x, whole_request("global_min_pool2d", "min", 2, keepdims, None, data_format, nan_policy), out)


def global_min_pool1d(
    x: Any,
    *,
    keepdims: bool = True,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`global_min_pool2d` over one axis: x of shape (..., L) or (..., L, C).

    >>> import gpupool as gp
    >>> gp.global_min_pool1d([1.0, 2.0])
    array([1.])
    """
    return run(x, whole_request("global_min_pool1d", "min", 1, keepdims, None, data_format, nan_policy), out)


def global_min_pool3d(
    x: Any,
    *,
    keepdims: bool = True,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`global_min_pool2d` over three axes: x of shape (..., D, H, W) or (..., D, H, W, C).

    >>> import numpy as np, gpupool as gp
    >>> gp.global_min_pool3d(np.arange(8).reshape(2, 2, 2))
    array([[[0]]])
    """
    return run(x, whole_request("global_min_pool3d", "min", 3, keepdims, None, data_format, nan_policy), out)
