"""Attributes of ONNX nodes as arguments: cheap checks, before any array is looked at but for its shape."""

from __future__ import annotations

from typing import Any

from .request import ints

AUTO_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
SPATIAL = (1, 2, 3)
INT, STRING, INTS = 2, 3, 7  # types of an AttributeProto that pooling operators have


def spatial_axes(op: str, x: Any) -> int:
    """The number of pooled axes: all but N and C."""
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) - 2 not in SPATIAL:
        raise ValueError(f"{op}: X must be an array of shape (N, C, D1[, D2[, D3]]), got shape {shape}")
    return len(shape) - 2


def int_attribute(op: str, name: str, value: Any, count: int, default: int) -> tuple[int, ...]:
    """An attribute of `count` ints."""
    values = (default,) * count if value is None else ints(f"{op}: {name}", value)
    if not isinstance(values, tuple) or len(values) != count or not all(isinstance(v, int) for v in values):
        raise ValueError(f"{op}: {name} must be {count} ints, got {value!r}")
    return values


def flag_attribute(op: str, name: str, value: Any) -> bool:
    """An attribute that is 0 or 1."""
    if value not in (0, 1):
        raise ValueError(f"{op}: {name} must be 0 or 1, got {value!r}")
    return bool(value)


def padding_attribute(op: str, spatial: int, auto_pad: Any, pads: Any) -> Any:
    """auto_pad and pads as `padding`."""
    word = auto_pad.decode() if isinstance(auto_pad, bytes) else auto_pad
    if word not in AUTO_PADS:
        raise ValueError(f"{op}: auto_pad must be one of {AUTO_PADS}, got {auto_pad!r}")
    both = int_attribute(op, "pads", pads, 2 * spatial, 0)
    if word == "NOTSET":
        return tuple(zip(both[:spatial], both[spatial:], strict=True))
    if any(both):
        raise ValueError(f"{op}: pads must not be given with auto_pad={word!r}, got {pads!r}")
    return {"VALID": "valid", "SAME_UPPER": "same", "SAME_LOWER": "same_lower"}[word]


def window_arguments(
    op: str, spatial: int, kernel_shape: Any, strides: Any, dilations: Any, padding: Any, ceil_mode: Any
) -> dict[str, Any]:
    """The arguments that say where windows lie."""
    if kernel_shape is None:
        raise ValueError(f"{op}: kernel_shape must be {spatial} ints, got None")
    ceil = flag_attribute(op, "ceil_mode", ceil_mode)
    return {
        "kernel_size": int_attribute(op, "kernel_shape", kernel_shape, spatial, 1),
        "stride": int_attribute(op, "strides", strides, spatial, 1),
        "dilation": int_attribute(op, "dilations", dilations, spatial, 1),
        "padding": padding,
        # auto_pad fixes the lengths: of VALID, both formulas of the specification are one.
        "ceil_mode": ceil and not isinstance(padding, str),
    }


def proto_value(op: str, attribute: Any) -> Any:
    """The value of an AttributeProto."""
    if attribute.type == INT:
        return attribute.i
    if attribute.type == INTS:
        return tuple(attribute.ints)
    if attribute.type == STRING:
        return attribute.s
    raise TypeError(f"{op}: attribute {attribute.name!r} must be an int, ints or a string, got type {attribute.type}")
