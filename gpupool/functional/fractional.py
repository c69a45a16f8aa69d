"""Fractional max pooling. The 2-D function carries the documentation."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpupool.axes import pooled_axes
from gpupool.dispatch import run_many
from gpupool.fractional import (
    GRADIENT,
    WHERE,
    made_samples,
    plan_fractional,
    plan_fractional_found,
    plan_fractional_gradient,
)
from gpupool.jobs import Job
from gpupool.request import Request, fail, flag, hashable, ints, window_ints

TWICE = "seed must be None where _random_samples are given"


def _fractional(
    name: str, spatial: int, x: Any, window: Any, size: Any, ratio: Any, indices: Any, samples: Any, seed: Any,
    layout: Any, out: Any,
) -> Any:  # fmt: skip
    """Both jobs of a call: the elements, and where they are."""
    request, extra = _asked(name, spatial, window, size, ratio, layout)
    request = request._replace(indices=flag("return_indices", indices))
    if samples is not None and seed is not None:
        fail(request, ValueError(TWICE))
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


def _asked(name: str, spatial: int, window: Any, size: Any, ratio: Any, layout: Any) -> tuple[Request, tuple]:
    """The request of a call, and the lengths that it asks for."""
    request = Request(
        name, "max", window_ints("kernel_size", window), spatial=spatial,
        data_format=hashable("data_format", layout, "a string"),
    )  # fmt: skip
    ratio = tuple(ratio) if isinstance(ratio, list) else ratio
    extra = (ints("output_size", size), hashable("output_ratio", ratio, "a number or a tuple of them"))
    if extra == (None, None):
        fail(request, ValueError("output_size or output_ratio must be given"))
    return request, extra


def _backward(
    name: str, spatial: int, grad: Any, x: Any, window: Any, size: Any, ratio: Any, samples: Any, seed: Any,
    indices: Any, layout: Any, out: Any,
) -> Any:  # fmt: skip
    """The gradient from indices, or else from the samples."""
    request, extra = _asked(name, spatial, window, size, ratio, layout)
    request = request._replace(indices=True)
    if samples is not None and seed is not None:
        fail(request, ValueError(TWICE))
    if samples is None and seed is None and indices is None:
        fail(request, ValueError("_random_samples, seed or indices must be given: the windows were random"))
    if indices is None:
        samples = _made(request, x, seed) if samples is None else samples
        names = ("grad_output", "x", "_random_samples")
        job = Job(request, GRADIENT, names, plan_fractional_found, extra, host=True, own=True)
        return run_many((grad, x, samples), job, out)
    job = Job(request, "chosen", ("grad_output", "x", "indices"), plan_fractional_gradient, extra)
    return run_many((grad, x, indices), job, out)


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
        Length of the result along H and W, in elements, 0 to ``n - kernel_size + 1``.
    output_ratio : float or (float, float), optional
        The same as a share of the input's length, between 0 and 1, where there is no `output_size`.
    _random_samples : array of floats, shape (N, C, 2), optional
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
    ``int((i + u) * a) - int(u * a)`` with ``a = (n - kernel_size) / (o - 1)``, in the samples' dtype (float32 for half
    types), and the last one ends with the input: PyTorch's rule on a GPU; its CPU rounds each step to half types. A
    sample that is not finite, or beyond 2**20, counts as 0.

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


def fractional_max_pool2d_backward(
    grad_output: Any,
    x: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    _random_samples: Any = None,
    *,
    seed: int | None = None,
    indices: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `fractional_max_pool2d` with respect to x.

    Parameters
    ----------
    grad_output : array of x's library and dtype, of the shape that `fractional_max_pool2d` gives
        The gradient with respect to the result.
    x : array of floats, shape (..., H, W), or (..., H, W, C) with ``data_format="channels_last"``
        What was pooled.
    kernel_size, output_size, output_ratio, _random_samples, seed, data_format
        As they were for `fractional_max_pool2d`; the samples or the seed must be given, unless `indices` are.
    indices : int64 array of x's library, of grad_output's shape, optional
        What `fractional_max_pool2d` gave with `return_indices`: x, samples and seed are then not read.
    out : array, optional
        Where to write: of x's library, shape and dtype, any strides, no overlap with the other arrays.

    Returns
    -------
    array of x's library, shape, dtype and memory order
        Each window's gradient goes to the element that it chose: the first of equal ones, the last NaN.

    Raises
    ------
    ValueError, TypeError
        As `fractional_max_pool2d` would, and for arrays that do not belong together; before anything is written.

    Notes
    -----
    Order of sums and check of indices as for `max_pool2d_backward`.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> x = np.array([[1.0, 5.0, 2.0], [3.0, 4.0, 8.0]])
    >>> gp.fractional_max_pool2d_backward(np.array([[0.5, 2.0]]), x, 2, (1, 2), seed=1)
    array([[0. , 0.5, 0. ],
           [0. , 0. , 2. ]])
    """
    return _backward(
        "fractional_max_pool2d_backward", 2, grad_output, x, kernel_size, output_size, output_ratio, _random_samples,
        seed, indices, data_format, out,
    )  # fmt: skip


def fractional_max_pool3d_backward(
    grad_output: Any,
    x: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    _random_samples: Any = None,
    *,
    seed: int | None = None,
    indices: Any = None,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`fractional_max_pool2d_backward` of `fractional_max_pool3d`: x of shape (..., D, H, W) or (..., D, H, W, C).

    >>> import numpy as np, gpupool as gp
    >>> gp.fractional_max_pool3d_backward(np.ones((1, 1, 1)), np.arange(8.0).reshape(2, 2, 2), 2, 1, seed=1)[1]
    array([[0., 0.],
           [0., 1.]])
    """
    return _backward(
        "fractional_max_pool3d_backward", 3, grad_output, x, kernel_size, output_size, output_ratio, _random_samples,
        seed, indices, data_format, out,
    )  # fmt: skip
