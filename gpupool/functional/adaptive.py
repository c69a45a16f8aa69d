"""Adaptive pooling: the caller says how many windows. The 2-D functions carry the documentation."""

from __future__ import annotations

from typing import Any

from gpupool.dispatch import run
from gpupool.request import Request, flag, hashable, ints


def adaptive_request(
    name: str, op: str, spatial: int, size: Any, dtype: Any, indices: Any, layout: str, nan: Any = "propagate"
) -> Request:
    """The request of windows that share the axes."""
    if size is None:
        raise TypeError(f"{name}: output_size must be a non-negative int or a sequence of ints and None, got None")
    return Request(
        name, op, None, dtype=hashable("dtype", dtype, "a dtype"), indices=flag("return_indices", indices),
        spatial=spatial, data_format=hashable("data_format", layout, "a string"),
        output_size=ints("output_size", size), nan_policy=hashable("nan_policy", nan, "a string"),
    )  # fmt: skip


def adaptive_avg_pool2d(
    x: Any,
    output_size: Any,
    *,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Mean of each of a given number of windows that together take in two axes.

    Parameters
    ----------
    x, dtype, nan_policy, data_format, out
        As for `avg_pool2d`.
    output_size : int or (int or None, int or None)
        Length of the result along H and W, in elements; None keeps the input's. It may be larger than the input's, and
        0 gives an empty result.

    Returns
    -------
    array of x's library and memory order, shape (..., oH, oW) or (..., oH, oW, C)
        As accurate as `avg_pool2d`. NaN propagates.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool2d`.

    Notes
    -----
    Window ``i`` of ``o`` along an axis of ``n`` elements takes those from ``floor(i * n / o)`` up to, not including,
    ``ceil((i + 1) * n / o)``: PyTorch's rule. Neighbours overlap by one element where ``o`` does not divide ``n``.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.adaptive_avg_pool2d(np.arange(12.0).reshape(3, 4), 2)
    array([[2.5, 4.5],
           [6.5, 8.5]])
    """
    request = adaptive_request("adaptive_avg_pool2d", "avg", 2, output_size, dtype, False, data_format, nan_policy)
    return run(x, request, out)


def adaptive_avg_pool1d(
    x: Any,
    output_size: Any,
    *,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`adaptive_avg_pool2d` along one axis: x of shape (..., L) or (..., L, C).

    >>> import gpupool as gp
    >>> gp.adaptive_avg_pool1d([1.0, 2.0, 3.0], 2)
    array([1.5, 2.5])
    """
    request = adaptive_request("adaptive_avg_pool1d", "avg", 1, output_size, dtype, False, data_format, nan_policy)
    return run(x, request, out)


def adaptive_avg_pool3d(
    x: Any,
    output_size: Any,
    *,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`adaptive_avg_pool2d` along three axes: x of shape (..., D, H, W) or (..., D, H, W, C).

    >>> import numpy as np, gpupool as gp
    >>> gp.adaptive_avg_pool3d(np.arange(8.0).reshape(2, 2, 2), (1, 1, None))
    array([[[3., 4.]]])
    """
    request = adaptive_request("adaptive_avg_pool3d", "avg", 3, output_size, dtype, False, data_format, nan_policy)
    return run(x, request, out)


def adaptive_max_pool2d(
    x: Any,
    output_size: Any,
    return_indices: bool = False,
    *,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Largest element of each of a given number of windows that together take in two axes.

    Parameters
    ----------
    x, return_indices, nan_policy, data_format, out
        As for `max_pool2d`.
    output_size
        As for `adaptive_avg_pool2d`, which also says where the windows lie.

    Returns
    -------
    array of x's library, dtype and memory order, shape (..., oH, oW) or (..., oH, oW, C)
        NaN, ties and, with `return_indices`, the positions as for `max_pool2d`.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool2d`.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> gp.adaptive_max_pool2d(np.arange(12).reshape(3, 4), (2, None))
    array([[ 4,  5,  6,  7],
           [ 8,  9, 10, 11]])
    """
    return run(
        x,
        adaptive_request("adaptive_max_pool2d", "max", 2, output_size, None, return_indices, data_format, nan_policy),
        out,
    )


def adaptive_max_pool1d(
    x: Any,
    output_size: Any,
    return_indices: bool = False,
    *,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`adaptive_max_pool2d` along one axis: x of shape (..., L) or (..., L, C).

    >>> import gpupool as gp
    >>> gp.adaptive_max_pool1d([1.0, 5.0, 3.0], 2)
    array([5., 5.])
    """
    return run(
        x,
        adaptive_request("adaptive_max_pool1d", "max", 1, output_size, None, return_indices, data_format, nan_policy),
        out,
    )


def adaptive_max_pool3d(
    x: Any,
    output_size: Any,
    return_indices: bool = False,
    *,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`adaptive_max_pool2d` along three axes: x of shape (..., D, H, W) or (..., D, H, W, C).

    >>> import numpy as np, gpupool as gp
    >>> gp.adaptive_max_pool3d(np.arange(8).reshape(2, 2, 2), (1, 1, None))
    array([[[6, 7]]])
    """
    return run(
        x,
        adaptive_request("adaptive_max_pool3d", "max", 3, output_size, None, return_indices, data_format, nan_policy),
        out,
    )
