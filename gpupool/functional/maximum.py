"""Max pooling. The 2-D functions carry the documentation; the others differ in the number of pooled axes only."""

from __future__ import annotations

from typing import Any

from gpupool.dispatch import run

from .whole import extreme_request, whole_request


def max_pool2d(
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
    """Largest element of each window that slides along two axes.

    Parameters
    ----------
    x : array of any real dtype or bool, shape (..., H, W), or (..., H, W, C) with ``data_format="channels_last"``
        NumPy array or array-like, CuPy array, Numba device array, PyTorch tensor, JAX array. Any strides.
    kernel_size : int or (int, int)
        Taps of the window along H and W.
    stride : int or (int, int), optional
        Elements between the starts of neighbouring windows; default: `kernel_size`.
    padding : int, (int, int), ((int, int), (int, int)), "valid", "same" or "same_lower"
        Absent elements around x: on both sides, or (before, after) per axis. "same" gives ``ceil(n / stride)`` windows.
        It may exceed half of the window as long as each window has a real element.
    dilation : int or (int, int)
        Elements between two taps of a window.
    ceil_mode : bool
        Also keep a last window that overhangs the end, if it starts before the end padding.
    return_indices : bool or "offsets"
        Also return where each element was found: in its plane, or ("offsets") in its window.
    nan_policy : "propagate" or "omit"
        Whether a NaN in the window is the result, or is absent as padding is; nothing but NaN gives NaN.
    data_format : "channels_first" or "channels_last"
        Whether the pooled axes are the last two, or the two before the last.
    out : array, or pair of arrays with `return_indices`, optional
        Where to write: of x's library, of exactly the result's shape and dtype, any strides, no overlap with x.

    Returns
    -------
    array of x's library, dtype and memory order, shape (..., oH, oW) or (..., oH, oW, C)
        NaN propagates; the first of equal elements wins, of several NaN the last. With `return_indices` a pair: the
        values, and int64 positions, flat within the pooled axes (``h * W + w``). Offsets are the numbers of taps,
        row-major in the whole window (``jh * kernel_size[1] + jw``, those in the padding counted): uint8 for up to 256
        taps, uint16 for up to 65536. They are for `max_pool2d_backward`, at an eighth of the memory.

    Raises
    ------
    ValueError, TypeError
        For arguments that do not fit x, with the argument's name, the value and what is allowed; before any work.

    Notes
    -----
    Lengths follow PyTorch's rule: ``floor((n + before + after - dilation * (k - 1) - 1) / stride) + 1``, rounded up
    with `ceil_mode`; see `output_shape`.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.max_pool2d(np.array([[1, 5, 2, 0], [3, 4, 8, 1]]), 2)
    array([[5, 8]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = extreme_request("max_pool2d", "max", 2, geometry, ceil_mode, return_indices, nan_policy, data_format)
    return run(x, request, out)


def max_pool1d(
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
    """`max_pool2d` along one axis: x of shape (..., L), or (..., L, C) with ``data_format="channels_last"``.

    >>> import gpupool as gp
    >>> gp.max_pool1d([1.0, 5.0, 2.0, 0.0], 2)
    array([5., 2.])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = extreme_request("max_pool1d", "max", 1, geometry, ceil_mode, return_indices, nan_policy, data_format)
    return run(x, request, out)


def max_pool3d(
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
    """`max_pool2d` along three axes: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.max_pool3d(np.arange(8).reshape(2, 2, 2), 2)
    array([[[7]]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = extreme_request("max_pool3d", "max", 3, geometry, ceil_mode, return_indices, nan_policy, data_format)
    return run(x, request, out)


def global_max_pool2d(
    x: Any,
    *,
    keepdims: bool = True,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Largest element of each whole feature map: one per plane.

    Parameters, shapes and errors as for `global_avg_pool2d`; dtype, NaN, `nan_policy` and ties as for `max_pool2d`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_max_pool2d(np.arange(8).reshape(2, 2, 2), keepdims=False)
    array([3, 7])
    """
    return run(x, whole_request("global_max_pool2d", "max", 2, keepdims, None, data_format, nan_policy), out)


def global_max_pool1d(
    x: Any,
    *,
    keepdims: bool = True,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`global_max_pool2d` over one axis: x of shape (..., L) or (..., L, C).

    >>> import gpupool as gp
    >>> gp.global_max_pool1d([1.0, 2.0])
    array([2.])
    """
    return run(x, whole_request("global_max_pool1d", "max", 1, keepdims, None, data_format, nan_policy), out)


def global_max_pool3d(
    x: Any,
    *,
    keepdims: bool = True,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`global_max_pool2d` over three axes: x of shape (..., D, H, W) or (..., D, H, W, C).

    >>> import numpy as np, gpupool as gp
    >>> gp.global_max_pool3d(np.arange(8).reshape(2, 2, 2))
    array([[[7]]])
    """
    return run(x, whole_request("global_max_pool3d", "max", 3, keepdims, None, data_format, nan_policy), out)
