"""Average pooling. The 2-D functions carry the documentation; the others differ in the number of pooled axes only."""

from __future__ import annotations

from typing import Any

from gpupool.dispatch import run
from gpupool.request import Request, flag, hashable, ints, window_ints

from .whole import whole_request


def avg_window(
    name: str,
    spatial: int,
    geometry: tuple,
    ceil: Any,
    include: Any,
    divisor: Any,
    dtype: Any,
    layout: str,
    nan: str = "propagate",
) -> Request:
    """The request of a window that slides."""
    window, stride, padding, dilation = geometry
    return Request(
        name, "avg", window_ints("kernel_size", window), ints("stride", stride), ints("padding", padding),
        ints("dilation", dilation), flag("ceil_mode", ceil), flag("count_include_pad", include),
        ints("divisor_override", divisor), hashable("dtype", dtype, "a dtype"),
        spatial=spatial, data_format=hashable("data_format", layout, "a string"),
        nan_policy=hashable("nan_policy", nan, "a string"),
    )  # fmt: skip


def avg_pool2d(
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
    """Mean of each window that slides along two axes.

    Parameters
    ----------
    x, kernel_size, stride, padding, ceil_mode, dilation, data_format, out
        As for `max_pool2d`.
    count_include_pad : bool
        Whether padding counts in the divisor (as zeros would). The overhang of `ceil_mode` never counts.
    divisor_override : int, optional
        Divide every sum by this instead; not zero.
    dtype : dtype, optional
        The result's dtype. Default: x's own for floats, float32 for bool and integers up to 16 bits, float64 for wider
        ones. An integer dtype rounds half to even and saturates; NaN becomes 0.
    nan_policy : "propagate" or "omit"
        Whether a NaN makes the mean NaN, or is left out: then it does not count in the divisor either, while padding
        that counts still does. A `divisor_override` stays as it is. Nothing but NaN gives NaN.

    Returns
    -------
    array of x's library and memory order, shape (..., oH, oW) or (..., oH, oW, C)
        Integers are summed exactly, halves in float32 or wider; the mean is rounded once. float32 is within 2 ulp up to
        64 elements and within 1 ulp above, at the magnitude of the mean of ``|x|``. NaN propagates.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool2d`.

    Notes
    -----
    The divisor follows PyTorch's rule; with dilation, taps are counted.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.avg_pool2d(np.array([[1, 5, 2, 0], [3, 4, 8, 1]]), 2)
    array([[3.25, 2.75]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = avg_window(
        "avg_pool2d", 2, geometry, ceil_mode, count_include_pad, divisor_override, dtype, data_format, nan_policy
    )
    return run(x, request, out)


def avg_pool1d(
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
    """`avg_pool2d` along one axis: x of shape (..., L), or (..., L, C) with ``data_format="channels_last"``.

    >>> import gpupool as gp
    >>> gp.avg_pool1d([1.0, 5.0, 2.0, 0.0], 2)
    array([3., 1.])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = avg_window(
        "avg_pool1d", 1, geometry, ceil_mode, count_include_pad, divisor_override, dtype, data_format, nan_policy
    )
    return run(x, request, out)


def avg_pool3d(
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
    """`avg_pool2d` along three axes: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.avg_pool3d(np.arange(8.0).reshape(2, 2, 2), 2)
    array([[[3.5]]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = avg_window(
        "avg_pool3d", 3, geometry, ceil_mode, count_include_pad, divisor_override, dtype, data_format, nan_policy
    )
    return run(x, request, out)


def global_avg_pool2d(
    x: Any,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Mean of each whole feature map: one number per plane.

    Parameters
    ----------
    x, dtype, nan_policy, data_format, out
        As for `avg_pool2d`.
    keepdims : bool
        Keep the pooled axes, with length 1, or drop them.

    Returns
    -------
    array of x's library, shape (..., 1, 1) or (..., 1, 1, C), or (...) or (..., C) without `keepdims`
        As accurate as `avg_pool2d`, at any size of the maps.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool2d`.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.global_avg_pool2d(np.arange(8.0).reshape(2, 2, 2), keepdims=False)
    array([1.5, 5.5])
    """
    return run(x, whole_request("global_avg_pool2d", "avg", 2, keepdims, dtype, data_format, nan_policy), out)


def global_avg_pool1d(
    x: Any,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`global_avg_pool2d` over one axis: x of shape (..., L) or (..., L, C).

    >>> import gpupool as gp
    >>> gp.global_avg_pool1d([1.0, 2.0])
    array([1.5])
    """
    return run(x, whole_request("global_avg_pool1d", "avg", 1, keepdims, dtype, data_format, nan_policy), out)


def global_avg_pool3d(
    x: Any,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`global_avg_pool2d` over three axes: x of shape (..., D, H, W) or (..., D, H, W, C).

    >>> import numpy as np, gpupool as gp
    >>> gp.global_avg_pool3d(np.arange(8.0).reshape(2, 2, 2))
    array([[[3.5]]])
    """
    return run(x, whole_request("global_avg_pool3d", "avg", 3, keepdims, dtype, data_format, nan_policy), out)
