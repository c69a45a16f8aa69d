"""Median and mode pooling. The 2-D functions carry the documentation; the others differ in the pooled axes only."""

from __future__ import annotations

from typing import Any

from gpupool.dispatch import run
from gpupool.request import hashable

from .whole import window_request


def median_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    dtype: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Median of each window that slides along two axes.

    Parameters
    ----------
    x, kernel_size, stride, padding, dilation, ceil_mode, data_format, out
        As for `max_pool2d`. Padding is absent.
    dtype : dtype, optional
        The result's dtype, by the rule of `avg_pool2d`: x's own for floats, else float32 or float64; an integer dtype
        rounds half to even.

    Returns
    -------
    array of x's library and memory order, shape (..., oH, oW) or (..., oH, oW, C)
        The middle element, or the mean of the two middle ones where their number is even, rounded once. NaN propagates.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool2d`.

    Notes
    -----
    Windows are selected from in place, whatever their size: no buffers, about 2 log2(n) passes over n elements.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.median_pool2d(np.array([[1.0, 5.0, 2.0], [3.0, 4.0, 80.0], [7.0, 6.0, 9.0]]), 3)
    array([[5.]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = window_request("median_pool2d", "median", 2, geometry, ceil_mode, data_format, dtype, "propagate")
    return run(x, request, out)


def median_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    dtype: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`median_pool2d` along one axis: x of shape (..., L), or (..., L, C) with ``data_format="channels_last"``.

    >>> import gpupool as gp
    >>> gp.median_pool1d([1.0, 5.0, 2.0, 0.0], 2)
    array([3., 1.])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = window_request("median_pool1d", "median", 1, geometry, ceil_mode, data_format, dtype, "propagate")
    return run(x, request, out)


def median_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    dtype: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`median_pool2d` along three axes: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.median_pool3d(np.arange(8.0).reshape(2, 2, 2), 2)
    array([[[3.5]]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = window_request("median_pool3d", "median", 3, geometry, ceil_mode, data_format, dtype, "propagate")
    return run(x, request, out)


def mode_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    ignore: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Most frequent element of each window that slides along two axes: what makes a label image smaller.

    Parameters
    ----------
    x, kernel_size, stride, padding, dilation, ceil_mode, data_format, out
        As for `max_pool2d`. Padding is absent.
    ignore : number, optional
        A value that is not counted, such as the label of the background; a window of nothing else gives this value.

    Returns
    -------
    array of x's library, dtype and memory order, shape (..., oH, oW) or (..., oH, oW, C)
        Of several equally frequent values the smallest. NaN propagates.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool2d`, and for an `ignore` that x's dtype cannot hold.

    Notes
    -----
    One pass over a window for each different value in it.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> labels = np.array([[0, 0, 3, 2], [0, 7, 3, 2], [0, 0, 1, 1], [0, 0, 0, 1]], np.uint8)
    >>> gp.mode_pool2d(labels, 2)
    array([[0, 2],
           [0, 1]], dtype=uint8)
    >>> gp.mode_pool2d(labels, 2, ignore=0)
    array([[7, 2],
           [0, 1]], dtype=uint8)
    """
    geometry = (kernel_size, stride, padding, dilation)
    value = hashable("ignore", ignore, "a number or None")
    request = window_request("mode_pool2d", "mode", 2, geometry, ceil_mode, data_format, None, "propagate", value)
    return run(x, request, out)


def mode_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    ignore: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`mode_pool2d` along one axis: x of shape (..., L), or (..., L, C) with ``data_format="channels_last"``.

    >>> import gpupool as gp
    >>> gp.mode_pool1d([1, 5, 5, 0, 2, 2], 3)
    array([5, 2])
    """
    geometry = (kernel_size, stride, padding, dilation)
    value = hashable("ignore", ignore, "a number or None")
    request = window_request("mode_pool1d", "mode", 1, geometry, ceil_mode, data_format, None, "propagate", value)
    return run(x, request, out)


def mode_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    ignore: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`mode_pool2d` along three axes: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.mode_pool3d(np.array([[[1, 2], [2, 3]], [[2, 3], [4, 4]]]), 2)
    array([[[2]]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    value = hashable("ignore", ignore, "a number or None")
    request = window_request("mode_pool3d", "mode", 3, geometry, ceil_mode, data_format, None, "propagate", value)
    return run(x, request, out)
