"""A one-node ONNX pooling model as bytes, written by hand: the `onnx` package is not needed for 40 bytes of protobuf.

Field numbers are those of onnx.proto3 (ModelProto, GraphProto, NodeProto, AttributeProto, ValueInfoProto).
"""

from __future__ import annotations

from collections.abc import Sequence

ELEMENT_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int64": 7, "float16": 10, "float64": 11}
IR_VERSION, OPSET = 8, 17
_INT, _INTS = 2, 7  # AttributeProto.AttributeType


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _int(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, payload: bytes | str) -> bytes:
    data = payload.encode() if isinstance(payload, str) else payload
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return _message(1, name) + _int(3, value) + _int(20, _INT)
    return _message(1, name) + b"".join(_int(8, item) for item in value) + _int(20, _INTS)


def _value_info(name: str, dtype: str, shape: Sequence[int]) -> bytes:
    dimensions = b"".join(_message(1, _int(1, size)) for size in shape)
    tensor = _int(1, ELEMENT_TYPES[dtype]) + _message(2, dimensions)
    return _message(1, name) + _message(2, _message(1, tensor))


def pooling_model(
    op_type: str,
    dtype: str,
    shape: Sequence[int],
    out_shape: Sequence[int],
    attributes: dict[str, int | Sequence[int]],
    *,
    indices: bool = False,
) -> bytes:
    """Serialized ModelProto with one node `op_type` from input "x" to output "y" and perhaps "indices"."""
    outputs = ["y", "indices"] if indices else ["y"]
    node = (
        _message(1, "x") + b"".join(_message(2, name) for name in outputs) + _message(3, "pool") + _message(4, op_type)
    )
    node += b"".join(_message(5, _attribute(name, value)) for name, value in attributes.items())
    graph = _message(1, node) + _message(2, "benchmark")
    graph += _message(11, _value_info("x", dtype, shape)) + _message(12, _value_info("y", dtype, out_shape))
    if indices:
        graph += _message(12, _value_info("indices", "int64", out_shape))
    return _int(1, IR_VERSION) + _message(7, graph) + _message(8, _int(2, OPSET))
