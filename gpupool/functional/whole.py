"""The requests that the families have in common: windows that slide, and whole feature maps."""

from __future__ import annotations

from typing import Any

from gpupool.request import Request, flag, hashable, ints, positions, window_ints


def window_request(
    name: str, op: str, spatial: int, geometry: tuple, ceil: Any, layout: Any, dtype: Any, nan: Any, *options: Any
) -> Request:
    """The request of an operator whose window slides; `geometry` is (window, stride, padding, dilation)."""
    window, stride, padding, dilation = geometry
    return Request(
        name, op, window_ints("kernel_size", window), ints("stride", stride), ints("padding", padding),
        ints("dilation", dilation), flag("ceil_mode", ceil), dtype=hashable("dtype", dtype, "a dtype"),
        spatial=spatial, data_format=hashable("data_format", layout, "a string"),
        nan_policy=hashable("nan_policy", nan, "a string"), options=options,
    )  # fmt: skip


def extreme_request(
    name: str, op: str, spatial: int, geometry: tuple, ceil: Any, indices: Any, nan: Any, layout: Any
) -> Request:
    """The same for operators that find an element, and may say where."""
    window, stride, padding, dilation = geometry
    return Request(
        name, op, window_ints("kernel_size", window), ints("stride", stride), ints("padding", padding),
        ints("dilation", dilation), flag("ceil_mode", ceil), indices=positions(indices),
        spatial=spatial, data_format=hashable("data_format", layout, "a string"),
        nan_policy=hashable("nan_policy", nan, "a string"),
    )  # fmt: skip


def whole_request(
    name: str, op: str, spatial: int, keepdims: Any, dtype: Any, layout: str, nan: Any = "propagate", *options: Any
) -> Request:
    """The request of a global operator."""
    return Request(
        name, op, None, dtype=hashable("dtype", dtype, "a dtype"), keepdims=flag("keepdims", keepdims),
        spatial=spatial, data_format=hashable("data_format", layout, "a string"),
        nan_policy=hashable("nan_policy", nan, "a string"), options=options,
    )  # fmt: skip
