"""Gradients of adaptive pooling: as those of `max_pool2d` and `avg_pool2d`, with windows that share the axes."""

from __future__ import annotations

from typing import Any

from .adaptive import adaptive_request
from .backward import backward


def adaptive_avg_pool1d_backward(
    grad_output: Any,
    x: Any,
    output_size: Any,
    *,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `adaptive_avg_pool1d` with respect to x; all else as for `avg_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.adaptive_avg_pool1d_backward(np.array([2.0, 4.0]), np.zeros(3), 2)
    array([1., 3., 2.])
    """
    request = adaptive_request(
        "adaptive_avg_pool1d_backward", "avg", 1, output_size, dtype, False, data_format, nan_policy
    )
    return backward(request, grad_output, x, out)


def adaptive_avg_pool2d_backward(
    grad_output: Any,
    x: Any,
    output_size: Any,
    *,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `adaptive_avg_pool2d` with respect to x; all else as for `avg_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.adaptive_avg_pool2d_backward(np.array([[2.0, 4.0]]), np.zeros((1, 3)), (1, 2))
    array([[1., 3., 2.]])
    """
    request = adaptive_request(
        "adaptive_avg_pool2d_backward", "avg", 2, output_size, dtype, False, data_format, nan_policy
    )
    return backward(request, grad_output, x, out)


def adaptive_avg_pool3d_backward(
    grad_output: Any,
    x: Any,
    output_size: Any,
    *,
    dtype: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `adaptive_avg_pool3d` with respect to x; all else as for `avg_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.adaptive_avg_pool3d_backward(np.array([[[4.0]]]), np.zeros((1, 2, 2)), 1)
    array([[[1., 1.],
            [1., 1.]]])
    """
    request = adaptive_request(
        "adaptive_avg_pool3d_backward", "avg", 3, output_size, dtype, False, data_format, nan_policy
    )
    return backward(request, grad_output, x, out)


def adaptive_max_pool1d_backward(
    grad_output: Any,
    x: Any,
    output_size: Any,
    *,
    indices: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `adaptive_max_pool1d` with respect to x; all else as for `max_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.adaptive_max_pool1d_backward(np.array([1.0, 2.0]), np.array([1.0, 5.0, 3.0]), 2)
    array([0., 3., 0.])
    """
    request = adaptive_request(
        "adaptive_max_pool1d_backward", "max", 1, output_size, None, True, data_format, nan_policy
    )
    return backward(request, grad_output, x, out, indices)


def adaptive_max_pool2d_backward(
    grad_output: Any,
    x: Any,
    output_size: Any,
    *,
    indices: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `adaptive_max_pool2d` with respect to x; all else as for `max_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.adaptive_max_pool2d_backward(np.array([[1.0, 2.0]]), np.array([[1.0, 5.0, 2.0], [4.0, 0.0, 3.0]]), (1, 2))
    array([[0., 3., 0.],
           [0., 0., 0.]])
    """
    request = adaptive_request(
        "adaptive_max_pool2d_backward", "max", 2, output_size, None, True, data_format, nan_policy
    )
    return backward(request, grad_output, x, out, indices)


def adaptive_max_pool3d_backward(
    grad_output: Any,
    x: Any,
    output_size: Any,
    *,
    indices: Any = None,
    nan_policy: str = "propagate",
    data_format: str = "channels_first",
    out: Any = None,
) -> Any:
    """Gradient of `adaptive_max_pool3d` with respect to x; all else as for `max_pool2d_backward`.

    >>> import numpy as np, gpupool as gp
    >>> gp.adaptive_max_pool3d_backward(np.array([[[1.0]]]), np.arange(4.0).reshape(1, 2, 2), 1)
    array([[[0., 0.],
            [0., 1.]]])
    """
    request = adaptive_request(
        "adaptive_max_pool3d_backward", "max", 3, output_size, None, True, data_format, nan_policy
    )
    return backward(request, grad_output, x, out, indices)
