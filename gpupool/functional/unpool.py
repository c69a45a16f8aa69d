"""Max unpooling and its gradient. The 2-D functions carry the documentation."""

from __future__ import annotations

from typing import Any

from gpupool.dispatch import run_many
from gpupool.jobs import Job
from gpupool.request import Request, hashable, ints, window_ints
from gpupool.unpooling import plan_unpool, plan_unpool_gradient


def _job(name: str, spatial: int, window: Any, stride: Any, padding: Any, size: Any, layout: str) -> Job:
    request = Request(
        name, "max", window_ints("kernel_size", window), ints("stride", stride), ints("padding", padding),
        spatial=spatial, data_format=hashable("data_format", layout, "a string"),
    )  # fmt: skip
    return Job(request, "unpool", ("x", "indices"), plan_unpool, ints("output_size", size))


def _backward(job: Job, grad_output: Any, x: Any, indices: Any, out: Any) -> Any:
    job = job._replace(kind="unpool_gradient", operands=("grad_output", "x", "indices"), make_plan=plan_unpool_gradient)
    return run_many((grad_output, x, indices), job, out)


def max_unpool2d(
    x: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
    *,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Put each element where an index says, and zero everywhere else: a partial inverse of `max_pool2d`.

    Parameters
    ----------
    x : array of any real dtype or bool, shape (..., H, W), or (..., H, W, C) with ``data_format="channels_last"``
        What `max_pool2d` gave, or anything of that shape.
    indices : int64 array of x's library and shape
        Where each element belongs, flat within the result's pooled axes (``h * W + w``), as `return_indices` gives it.
    kernel_size, stride, padding : int or (int, int)
        Those of the pooling; they give the result's usual size.
    output_size : sequence of ints, optional
        The lengths of the result's pooled axes, or its whole shape, in elements: less than a stride away from the usual
        ones. Pooling several lengths gives the same number of windows, so the input's cannot always be known.
    data_format : "channels_first" or "channels_last"
        Whether the pooled axes are the last two, or the two before the last.
    out : array, optional
        Where to write: of x's library and dtype, of the result's shape, any strides, no overlap with the others.

    Returns
    -------
    array of x's library, dtype and memory order, shape (..., oH, oW) or (..., oH, oW, C)
        Of several elements with one index the last in row-major order stays, on every backend.

    Raises
    ------
    ValueError, TypeError
        For an index outside its plane, and for arguments that do not fit x; before anything is written.

    Notes
    -----
    The usual length is ``(n - 1) * stride - 2 * padding + kernel_size``. On a GPU the check of the indices waits for
    the work before it. While a CUDA graph is captured there is no check: an index outside its plane is then skipped.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> values, where = gp.max_pool2d(np.array([[1, 5, 2, 0], [3, 4, 8, 1]]), 2, return_indices=True)
    >>> gp.max_unpool2d(values, where, 2)
    array([[0, 5, 0, 0],
           [0, 0, 8, 0]])
    """
    job = _job("max_unpool2d", 2, kernel_size, stride, padding, output_size, data_format)
    return run_many((x, indices), job, out)


def max_unpool1d(
    x: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
    *,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`max_unpool2d` along one axis: x of shape (..., L), or (..., L, C) with channels last.

    >>> import gpupool as gp
    >>> gp.max_unpool1d([5.0, 2.0], [1, 2], 2, output_size=(5,))
    array([0., 5., 2., 0., 0.])
    """
    job = _job("max_unpool1d", 1, kernel_size, stride, padding, output_size, data_format)
    return run_many((x, indices), job, out)


def max_unpool3d(
    x: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
    *,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`max_unpool2d` along three axes: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.max_unpool3d(np.array([[[7]]]), np.array([[[5]]]), 2)
    array([[[0, 0],
            [0, 0]],
    <BLANKLINE>
           [[0, 7],
            [0, 0]]])
    """
    job = _job("max_unpool3d", 3, kernel_size, stride, padding, output_size, data_format)
    return run_many((x, indices), job, out)


def max_unpool2d_backward(
    grad_output: Any,
    x: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
    *,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `max_unpool2d` with respect to x: what lies at each element's index.

    Parameters
    ----------
    grad_output : array of x's library and dtype, of the shape that `max_unpool2d` gives
        The gradient with respect to the result.
    x, indices, kernel_size, stride, padding, output_size, data_format
        As they were for `max_unpool2d`; x is of floats, and not read.
    out : array, optional
        Where to write: of x's library, shape and dtype, any strides, no overlap with the other arrays.

    Returns
    -------
    array of x's library, shape, dtype and memory order
        Zero for an element whose place a later one with the same index took.

    Raises
    ------
    ValueError, TypeError
        As `max_unpool2d` would, and for a grad_output that does not belong to x; before anything is written.

    Examples
    --------
    >>> import numpy as np, gpupool as gp
    >>> where = np.array([[1, 6]])
    >>> gp.max_unpool2d_backward(np.arange(8.0).reshape(2, 4), np.zeros((1, 2)), where, 2)
    array([[1., 6.]])
    """
    job = _job("max_unpool2d_backward", 2, kernel_size, stride, padding, output_size, data_format)
    return _backward(job, grad_output, x, indices, out)


def max_unpool1d_backward(
    grad_output: Any,
    x: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
    *,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`max_unpool2d_backward` of `max_unpool1d`: x of shape (..., L), or (..., L, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.max_unpool1d_backward(np.arange(4.0), np.zeros(2), [0, 0], 2)
    array([0., 0.])
    """
    job = _job("max_unpool1d_backward", 1, kernel_size, stride, padding, output_size, data_format)
    return _backward(job, grad_output, x, indices, out)


def max_unpool3d_backward(
    grad_output: Any,
    x: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
    *,
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """`max_unpool2d_backward` of `max_unpool3d`: x of shape (..., D, H, W), or (..., D, H, W, C) with channels last.

    >>> import numpy as np, gpupool as gp
    >>> gp.max_unpool3d_backward(np.arange(8.0).reshape(2, 2, 2), np.zeros((1, 1, 1)), [[[5]]], 2)
    array([[[5.]]])
    """
    job = _job("max_unpool3d_backward", 3, kernel_size, stride, padding, output_size, data_format)
    return _backward(job, grad_output, x, indices, out)
