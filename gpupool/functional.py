"""The public operators: signature, documentation, one call.

The 2-D functions carry the documentation; those for one and three axes differ in the number of pooled axes only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .dispatch import run
from .plan import Request, flag, hashable, ints, make_plan, window_ints


def _max_window(
    name: str, spatial: int, window: Any, stride: Any, padding: Any, dilation: Any, ceil: Any, indices: Any, layout: str
) -> Request:
    return Request(
        name, "max", window_ints("kernel_size", window), ints("stride", stride), ints("padding", padding),
        ints("dilation", dilation), flag("ceil_mode", ceil), indices=flag("return_indices", indices),
        spatial=spatial, data_format=hashable("data_format", layout, "a string"),
    )  # fmt: skip


def max_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
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
    return_indices : bool
        Also return where each element was found.
    data_format : "channels_first" or "channels_last"
        Whether the pooled axes are the last two, or the two before the last.
    out : array, or pair of arrays with `return_indices`, optional
        Where to write: of x's library, of exactly the result's shape and dtype, any strides, no overlap with x.

    Returns
    -------
    array of x's library, dtype and memory order, shape (..., oH, oW) or (..., oH, oW, C)
        NaN propagates; the first of equal elements wins. With `return_indices` a pair: the values, and int64 positions,
        flat within the pooled axes (``h * W + w``).

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
    request = _max_window(
        "max_pool2d", 2, kernel_size, stride, padding, dilation, ceil_mode, return_indices, data_format
    )
    return run(x, request, out)


def max_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`max_pool2d` along one axis: x of shape (..., L), or (..., L, C) with ``data_format="channels_last"``.

    >>> import gpupool as gp
    >>> gp.max_pool1d([1.0, 5.0, 2.0, 0.0], 2)
    array([5., 2.])
    """
    request = _max_window(
        "max_pool1d", 1, kernel_size, stride, padding, dilation, ceil_mode, return_indices, data_format
    )
    return run(x, request, out)


def max_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`max_pool2d` along three axes: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.max_pool3d(np.arange(8).reshape(2, 2, 2), 2)
    array([[[7]]])
    """
    request = _max_window(
        "max_pool3d", 3, kernel_size, stride, padding, dilation, ceil_mode, return_indices, data_format
    )
    return run(x, request, out)


def _avg_window(
    name: str, spatial: int, geometry: tuple, ceil: Any, include: Any, divisor: Any, dtype: Any, layout: str
) -> Request:
    window, stride, padding, dilation = geometry
    return Request(
        name, "avg", window_ints("kernel_size", window), ints("stride", stride), ints("padding", padding),
        ints("dilation", dilation), flag("ceil_mode", ceil), flag("count_include_pad", include),
        ints("divisor_override", divisor), hashable("dtype", dtype, "a dtype"),
        spatial=spatial, data_format=hashable("data_format", layout, "a string"),
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
    request = _avg_window("avg_pool2d", 2, geometry, ceil_mode, count_include_pad, divisor_override, dtype, data_format)
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
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`avg_pool2d` along one axis: x of shape (..., L), or (..., L, C) with ``data_format="channels_last"``.

    >>> import gpupool as gp
    >>> gp.avg_pool1d([1.0, 5.0, 2.0, 0.0], 2)
    array([3., 1.])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = _avg_window("avg_pool1d", 1, geometry, ceil_mode, count_include_pad, divisor_override, dtype, data_format)
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
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`avg_pool2d` along three axes: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.avg_pool3d(np.arange(8.0).reshape(2, 2, 2), 2)
    array([[[3.5]]])
    """
    geometry = (kernel_size, stride, padding, dilation)
    request = _avg_window("avg_pool3d", 3, geometry, ceil_mode, count_include_pad, divisor_override, dtype, data_format)
    return run(x, request, out)


def _global(name: str, op: str, spatial: int, keepdims: Any, dtype: Any, layout: str) -> Request:
    return Request(
        name, op, None, dtype=hashable("dtype", dtype, "a dtype"), keepdims=flag("keepdims", keepdims),
        spatial=spatial, data_format=hashable("data_format", layout, "a string"),
    )  # fmt: skip


def global_avg_pool2d(
    x: Any, *, keepdims: bool = True, dtype: Any = None, data_format: str = "channels_first", out: Any = None
) -> Any:
    """Mean of each whole feature map: one number per plane.

    Parameters
    ----------
    x, dtype, data_format, out
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
    return run(x, _global("global_avg_pool2d", "avg", 2, keepdims, dtype, data_format), out)


def global_avg_pool1d(
    x: Any, *, keepdims: bool = True, dtype: Any = None, data_format: str = "channels_first", out: Any = None
) -> Any:
    """`global_avg_pool2d` over one axis: x of shape (..., L) or (..., L, C).

    >>> import gpupool as gp
    >>> gp.global_avg_pool1d([1.0, 2.0])
    array([1.5])
    """
    return run(x, _global("global_avg_pool1d", "avg", 1, keepdims, dtype, data_format), out)


def global_avg_pool3d(
    x: Any, *, keepdims: bool = True, dtype: Any = None, data_format: str = "channels_first", out: Any = None
) -> Any:
    """`global_avg_pool2d` over three axes: x of shape (..., D, H, W) or (..., D, H, W, C).

    >>> import numpy as np, gpupool as gp
    >>> gp.global_avg_pool3d(np.arange(8.0).reshape(2, 2, 2))
    array([[[3.5]]])
    """
    return run(x, _global("global_avg_pool3d", "avg", 3, keepdims, dtype, data_format), out)


def global_max_pool2d(x: Any, *, keepdims: bool = True, data_format: str = "channels_first", out: Any = None) -> Any:
    """Largest element of each whole feature map: one per plane.

    Parameters, shapes and errors as for `global_avg_pool2d`; dtype, NaN and ties as for `max_pool2d`.

    >>> import numpy as np, gpupool as gp
    >>> gp.global_max_pool2d(np.arange(8).reshape(2, 2, 2), keepdims=False)
    array([3, 7])
    """
    return run(x, _global("global_max_pool2d", "max", 2, keepdims, None, data_format), out)


def global_max_pool1d(x: Any, *, keepdims: bool = True, data_format: str = "channels_first", out: Any = None) -> Any:
    """`global_max_pool2d` over one axis: x of shape (..., L) or (..., L, C).

    >>> import gpupool as gp
    >>> gp.global_max_pool1d([1.0, 2.0])
    array([2.])
    """
    return run(x, _global("global_max_pool1d", "max", 1, keepdims, None, data_format), out)


def global_max_pool3d(x: Any, *, keepdims: bool = True, data_format: str = "channels_first", out: Any = None) -> Any:
    """`global_max_pool2d` over three axes: x of shape (..., D, H, W) or (..., D, H, W, C).

    >>> import numpy as np, gpupool as gp
    >>> gp.global_max_pool3d(np.arange(8).reshape(2, 2, 2))
    array([[[7]]])
    """
    return run(x, _global("global_max_pool3d", "max", 3, keepdims, None, data_format), out)


def pool(
    x: Any,
    op: str,
    window: Any,
    *,
    axes: Any = None,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    """Pool any axes of an array of any number of dimensions.

    Parameters
    ----------
    x : array
        As for `max_pool2d`.
    op : "max" or "avg"
        The operator.
    window : int or sequence of ints
        Taps per pooled axis. At most three axes may have a window, stride or padding that changes them.
    axes : int or sequence of ints, optional
        The pooled axes, in the order of `window`. Default: the last ``len(window)``, or all axes for an int.
    stride, padding, dilation, ceil_mode, out
        As for `max_pool2d`, one entry per pooled axis.
    count_include_pad, divisor_override, dtype
        As for `avg_pool2d`; `dtype` is for "avg" only.

    Returns
    -------
    array of x's library and memory order, with the lengths that `output_shape` gives

    Raises
    ------
    ValueError, TypeError
        As for `max_pool2d`.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.pool(np.arange(12).reshape(4, 3), "max", 2, axes=0)
    array([[ 3,  4,  5],
           [ 9, 10, 11]])
    """
    if not isinstance(op, str):
        raise TypeError(f"pool: op must be a string, got {op!r}")
    request = Request(
        "pool", op, window_ints("window", window), ints("stride", stride), ints("padding", padding),
        ints("dilation", dilation), flag("ceil_mode", ceil_mode), flag("count_include_pad", count_include_pad),
        ints("divisor_override", divisor_override), hashable("dtype", dtype, "a dtype"), axes=ints("axes", axes),
    )  # fmt: skip
    return run(x, request, out)


def output_shape(
    shape: Any,
    window: Any,
    *,
    axes: Any = None,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[int, ...]:
    """The shape that `pool` gives for an array of this shape: integers only, nothing is computed.

    Parameters
    ----------
    shape : sequence of ints
        The input's shape.
    window, axes, stride, padding, dilation, ceil_mode
        As for `pool`.

    Returns
    -------
    tuple of ints

    Raises
    ------
    ValueError, TypeError
        As `pool` would.

    Examples
    --------
    >>> import gpupool as gp
    >>> gp.output_shape((8, 3, 225, 225), (3, 3), stride=2, padding=1)
    (8, 3, 113, 113)
    >>> gp.output_shape((5, 5), 2, ceil_mode=True)
    (3, 3)
    """
    sizes = ints("shape", shape)
    if not isinstance(sizes, tuple) or not all(isinstance(n, int) for n in sizes):
        raise TypeError(f"output_shape: shape must be a sequence of ints, got {shape!r}")
    if any(n < 0 for n in sizes):
        raise ValueError(f"output_shape: shape must not have negative lengths, got {sizes}")
    request = Request(
        "output_shape", "max", window_ints("window", window), ints("stride", stride),
        ints("padding", padding), ints("dilation", dilation), flag("ceil_mode", ceil_mode), axes=ints("axes", axes),
    )  # fmt: skip
    return make_plan(request, sizes, np.dtype(np.float32)).out_shape
