"""Lp pooling. The 2-D functions carry the documentation; the others differ in the number of pooled axes only."""

from __future__ import annotations

from typing import Any

from gpupool.dispatch import run
from gpupool.request import hashable

from .whole import whole_request, window_request


def lp_pool2d(
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
    """Lp norm of each window that slides along two axes: ``(sum |x|**p) ** (1 / p)``.

    Parameters
    ----------
    x, kernel_size, stride, ceil_mode, padding, dilation, data_format, out
        As for `max_pool2d`. Padding adds nothing.
    norm_type : float
        p, any positive number: 1 is the sum of ``|x|``, 2 the Euclidean norm, inf the largest ``|x|``.
    dtype : dtype, optional
        The result's dtype, by the rule of `avg_pool2d`: x's own for floats, else float32 or float64.

    Returns
    -------
    array of x's library and memory order, shape (..., oH, oW) or (..., oH, oW, C)
        Powers are summed in float64, for small windows of float16 in float32, and where they could leave its range as
        powers of ``|x|`` over the largest: nothing up to float32 overflows on the way. NaN propagates.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool2d`, and for a `norm_type` that is not positive.

    Notes
    -----
    PyTorch sums ``x**p`` with its sign, gives 0 where that sum is negative and NaN where ``x**p`` is; here it is always
    ``|x|``. Where `ceil_mode` makes a window overhang, PyTorch scales the sum up to the whole window; here only what is
    there is summed (as in ONNX).

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.lp_pool2d(np.array([[3.0, 0.0, 1.0, -1.0], [4.0, 0.0, 1.0, 1.0]]), 2, 2)
    array([[5., 2.]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    p = hashable("norm_type", norm_type, "a positive number or inf")
    request = window_request("lp_pool2d", "lp", 2, geometry, ceil_mode, data_format, dtype, "propagate", p)
    return run(x, request, out)


def lp_pool1d(
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
    """`lp_pool2d` along one axis: x of shape (..., L), or (..., L, C) with ``data_format="channels_last"``.

    >>> import gpupool as gp
    >>> gp.lp_pool1d([3.0, -4.0, 2.0, 0.0], 2, 2)
    array([5., 2.])
    """
    geometry = (kernel_size, stride, padding, dilation)
    p = hashable("norm_type", norm_type, "a positive number or inf")
    request = window_request("lp_pool1d", "lp", 1, geometry, ceil_mode, data_format, dtype, "propagate", p)
    return run(x, request, out)


def lp_pool3d(
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
    """`lp_pool2d` along three axes: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.lp_pool3d(np.arange(8.0).reshape(2, 2, 2), 1, 2)
    array([[[28.]]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    p = hashable("norm_type", norm_type, "a positive number or inf")
    request = window_request("lp_pool3d", "lp", 3, geometry, ceil_mode, data_format, dtype, "propagate", p)
    return run(x, request, out)


def global_lp_pool2d(
    x: Any,
    norm_type: Any = 2.0,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Lp norm of each whole feature map: one number per plane.

    `norm_type`, dtypes and accuracy as for `lp_pool2d`; the other parameters, shapes and errors as for
    `global_avg_pool2d`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_lp_pool2d(np.array([[[3.0, 0.0], [0.0, 4.0]]]), keepdims=False)
    array([5.])
    """
    p = hashable("norm_type", norm_type, "a positive number or inf")
    return run(x, whole_request("global_lp_pool2d", "lp", 2, keepdims, dtype, data_format, "propagate", p), out)


def global_lp_pool1d(
    x: Any,
    norm_type: Any = 2.0,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`global_lp_pool2d` over one axis: x of shape (..., L) or (..., L, C).

    >>> import gpupool as gp
    >>> gp.global_lp_pool1d([1.0, -2.0], 1)
    array([3.])
    """
    p = hashable("norm_type", norm_type, "a positive number or inf")
    return run(x, whole_request("global_lp_pool1d", "lp", 1, keepdims, dtype, data_format, "propagate", p), out)


def global_lp_pool3d(
    x: Any,
    norm_type: Any = 2.0,
    *,
    keepdims: bool = True,
    dtype: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`global_lp_pool2d` over three axes: x of shape (..., D, H, W) or (..., D, H, W, C).

    >>> import numpy as np, gpupool as gp
    >>> gp.global_lp_pool3d(np.arange(8.0).reshape(2, 2, 2), float("inf"))
    array([[[7.]]])
    """
    p = hashable("norm_type", norm_type, "a positive number or inf")
    return run(x, whole_request("global_lp_pool3d", "lp", 3, keepdims, dtype, data_format, "propagate", p), out)
