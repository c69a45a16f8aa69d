"""What the functions that pool whole feature maps have in common."""

from __future__ import annotations

from typing import Any

from gpupool.request import Request, flag, hashable


def whole_request(name: str, op: str, spatial: int, keepdims: Any, dtype: Any, layout: str) -> Request:
    """The request of a global operator."""
    return Request(
        name, op, None, dtype=hashable("dtype", dtype, "a dtype"), keepdims=flag("keepdims", keepdims),
        spatial=spatial, data_format=hashable("data_format", layout, "a string"),
    )  # fmt: skip
