"""Writes ONNX files with nothing but NumPy: the few messages of onnx.proto that small test networks need.

Protobuf's wire format is a sequence of (field number, value): integers as varints, everything else with its length in
front. Field numbers are those of onnx.proto (github.com/onnx/onnx, IR version 8).
"""
import numpy as np

IR_VERSION, OPSET = 8, 17
ELEMENT_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11}
ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_FLOATS, ATTRIBUTE_INTS = 1, 2, 3, 6, 7


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value) -> bytes:
    """One field: int as a varint, float as 32 bits, str, bytes and messages with their length."""
    if isinstance(value, (int, np.integer)):
        return varint(number << 3) + varint(int(value))
    if isinstance(value, float):
        return varint(number << 3 | 5) + np.float32(value).tobytes()
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(name: str, value) -> bytes:
    if isinstance(value, float):
        return field(1, name) + field(2, value) + field(20, ATTRIBUTE_FLOAT)
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, ATTRIBUTE_INT)
    if isinstance(value, str):
        return field(1, name) + field(4, value) + field(20, ATTRIBUTE_STRING)
    if all(isinstance(one, int) for one in value):
        return field(1, name) + b"".join(field(8, one) for one in value) + field(20, ATTRIBUTE_INTS)
    return field(1, name) + b"".join(field(7, float(one)) for one in value) + field(20, ATTRIBUTE_FLOATS)


def node(op: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes) -> bytes:
    return (b"".join(field(1, name) for name in inputs) + b"".join(field(2, name) for name in outputs)
            + field(3, outputs[0]) + field(4, op) + (field(7, domain) if domain else b"")
            + b"".join(field(5, attribute(name, value)) for name, value in attributes.items()))


def tensor(name: str, values: np.ndarray) -> bytes:
    values = np.ascontiguousarray(values)
    return (b"".join(field(1, size) for size in values.shape) + field(2, ELEMENT_TYPES[values.dtype.name])
            + field(8, name) + field(9, values.tobytes()))


def value_info(name: str, dtype: str, shape: list) -> bytes:
    """An input or output; a size given as a str is symbolic."""
    dimensions = b"".join(field(1, field(2, size) if isinstance(size, str) else field(1, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, ELEMENT_TYPES[dtype]) + field(2, dimensions)))


def model(nodes: list[bytes], inputs: list[bytes], outputs: list[bytes], weights: dict[str, np.ndarray]) -> bytes:
    graph = (b"".join(field(1, one) for one in nodes) + field(2, "graph")
             + b"".join(field(5, tensor(name, values)) for name, values in weights.items())
             + b"".join(field(11, one) for one in inputs) + b"".join(field(12, one) for one in outputs))
    return field(1, IR_VERSION) + field(8, field(1, "") + field(2, OPSET)) + field(7, graph)
