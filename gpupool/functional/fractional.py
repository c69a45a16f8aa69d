"""Fractional max pooling. The 2-D function carries the documentation."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpupool.axes import pooled_axes
from gpupool.dispatch import run_many
from gpupool.fractional import WHERE, made_samples, plan_fractional
from gpupool.jobs import Job
from gpupool.request import Request, fail, flag, hashable, ints, window_ints


def _fractional(
    name: str, spatial: int, x: Any, window: Any, size: Any, ratio: Any, indices: Any, samples: Any, seed: Any,
    layout: Any, out: Any,
) -> Any:  # fmt: skip
    """Both jobs of a call: the elements, and where they are."""
    request = Request(
        name, "max", window_ints("kernel_size", window), indices=flag("return_indices", indices), spatial=spatial,
        data_format=hashable("data_format", layout, "a string"),
    )  # fmt: skip
    ratio = tuple(ratio) if isinstance(ratio, list) else ratio
    extra = (ints("output_size", size), hashable("output_ratio", ratio, "a number or a tuple of them"))
    if extra == (None, None):
        fail(request, ValueError("output_size or output_ratio must be given"))
    if samples is not None and seed is not None:
        fail(request, ValueError("seed must be None where _random_samples are given"))
    if samples is None:
        samples = _made(request, x, seed)
    job = Job(
        request._replace(indices=False), "fractional", ("x", "_random_samples"), plan_fractional, extra, host=True
    )
    if not request.indices:
        return run_many((x, samples), job, out)
    if out is not None and (not isinstance(out, tuple) or len(out) != 2):
        kind = type(out).__name__
        fail(request, TypeError(f"out must be a pair (values, indices) with return_indices=True, got {kind}"))
    outs = (None, None) if out is None else out
    where = run_many((x, samples), job._replace(request=request, kind=WHERE), outs[1])
    values = run_many((x, samples), job, outs[0])
    return (values, where) if out is None else out


def _made(request: Request, x: Any, seed: Any) -> Any:
    """Samples for x by NumPy's default generator; a TypeError or ValueError for what is no seed."""
    shape = tuple(x.shape) if hasattr(x, "shape") else np.asarray(x).shape
    try:
        return made_samples(shape, pooled_axes(request, shape), seed)
    except (TypeError, ValueError) as error:
        fail(request, error)


def fractional_max_pool2d(
    x: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
    *,
    seed: int | None = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Largest element of each of a given number of windows that begin at random distances from each other.

    Parameters
    ----------
    x, return_indices, data_format, out
        As for `max_pool2d`.
    kernel_size : int or (int, int)
        Elements of a window along H and W.
    output_size : int or (int, int), optional
        Length of the result along H and W, in elements; at most ``n - kernel_size + 1``.
    output_ratio : float or (float, float), optional
        The same as a share of the input's length, between 0 and 1, where there is no `output_size`.
    _random_samples : array of float32 or float64, shape (N, C, 2), optional
        For each plane the samples of W and of H, usually in [0, 1): of x's library, or of NumPy. Its leading axes are
        x's, but for those of length 1.
    seed : int or anything else that NumPy's default generator takes, optional
        Makes the samples, the same on every backend; None gives others in each call.

    Returns
    -------
    array of x's library, dtype and memory order, shape (..., oH, oW) or (..., oH, oW, C)
        NaN, ties and, with `return_indices`, the positions as for `max_pool2d`.

    Raises
    ------
    ValueError, TypeError
        As for `max_pool2d`; also for sizes and windows that do not fit the input.

    Notes
    -----
    B. Graham, Fractional Max-Pooling, https://arxiv.org/abs/1412.6071. Window ``i`` of ``o`` begins at
    ``int((i + u) * a) - int(u * a)`` with ``a = (n - kernel_size) / (o - 1)``, in the samples' dtype, and the last one
    ends with the input: PyTorch's rule. A sample that is not finite, or beyond 2**20, counts as 0.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> x = np.arange(25).reshape(5, 5)
    >>> gp.fractional_max_pool2d(x, 2, 3, _random_samples=np.array([0.5, 0.0]))
    array([[ 6,  8,  9],
           [11, 13, 14],
           [21, 23, 24]])
    """
    return _fractional(
        "fractional_max_pool2d", 2, x, kernel_size, output_size, output_ratio, return_indices, _random_samples, seed,
        data_format, out,
    )  # fmt: skip


def fractional_max_pool3d(
    x: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
    *,
    seed: int | None = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`fractional_max_pool2d` along three axes, with samples of shape (N, C, 3) for D, H and W.

    >>> import numpy as np, gpupool as gp
    >>> gp.fractional_max_pool3d(np.arange(27).reshape(3, 3, 3), 2, (1, 1, 2), seed=1)
    array([[[25, 26]]])
    """
    return _fractional(
        "fractional_max_pool3d", 3, x, kernel_size, output_size, output_ratio, return_indices, _random_samples, seed,
        data_format, out,
    )  # fmt: skip
