"""Arrow IPC streams to the columns that a MessagePack body has: buffers of float64, and texts as values and codes.

What comes out is decoded as such a body is, so that the same is refused for the same reasons. pyarrow is an extra, and
is imported at the first stream. `to_numpy`, and whatever makes Arrow of Python's values, such as `fill_null`, would
import pandas too where it is installed, which takes three times as long: buffers are read as they are.
"""

import struct
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from sidecar.events.refusals import TooMany, Unreadable, Unsupported

if TYPE_CHECKING:
    import pyarrow as pa

BESIDE_FEATURES = ("id", "prediction", "probability", "latency_ms", "error")
_HEADER, _DICTIONARY_DATA, _COMPRESSION = 2, 1, 3
"""Fields of the tables Message, DictionaryBatch and RecordBatch in Message.fbs of Arrow's format."""


def packed_columns(stream: bytes, *, events: int) -> bytes:
    """Return the columns of a stream as a MessagePack body.

    Columns are features by their names, or in a struct column `features`, beside `prediction`, `probability`,
    `latency_ms`, `error` and `id`. The model is named by `model` in the metadata of the schema. Raises Unsupported,
    Unreadable, and TooMany past `events` rows.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise Unsupported("Arrow streams need the extra `arrow`: pip install 'model-sidecar[arrow]'") from error
    try:
        table = _table(stream, events=events)
        document: dict[str, Any] = {"columns": _document(table)}
        if model := (table.schema.metadata or {}).get(b"model"):
            document["model"] = model.decode()
        return msgspec.msgpack.encode(document)
    except (pa.ArrowException, OSError, MemoryError, struct.error, ValueError, TypeError) as error:
        raise Unreadable(f"no Arrow stream: {str(error) or type(error).__name__}") from error


def _table(stream: bytes, *, events: int) -> "pa.Table":
    import pyarrow as pa

    for message in pa.ipc.MessageReader.open_stream(stream):
        # A few bytes may unpack to any number, and nothing would stop it.
        if _is_compressed(message.metadata.to_pybytes(), message.type):
            raise Unreadable("compressed buffers are not taken: use Content-Encoding")
    with pa.ipc.open_stream(stream) as reader:
        batches, rows = [], 0
        for batch in reader:
            rows += batch.num_rows
            if rows > events:
                raise TooMany(events, "events")
            batch.validate(full=True)  # offsets and codes come from outside, and are followed without a look
            batches.append(batch)
        return pa.Table.from_batches(batches, schema=reader.schema)


def _is_compressed(metadata: bytes, kind: str) -> bool:
    """Tell whether the message of a batch says that its buffers are compressed; pyarrow has checked its structure."""
    if kind not in ("record batch", "dictionary"):
        return False
    header = _table_at(metadata, struct.unpack_from("<I", metadata, 0)[0], _HEADER)
    if kind == "dictionary":
        header = _table_at(metadata, header, _DICTIONARY_DATA)
    return _field(metadata, header, _COMPRESSION) != 0


def _table_at(metadata: bytes, table: int, field: int) -> int:
    """Return where the table is that a field of another refers to."""
    at = table + _field(metadata, table, field)
    place: int = at + struct.unpack_from("<I", metadata, at)[0]
    return place


def _field(metadata: bytes, table: int, field: int) -> int:
    """Return where a field is from the start of its flatbuffers table, 0 where it is not there."""
    offsets = table - struct.unpack_from("<i", metadata, table)[0]
    entry = 4 + 2 * field
    if entry >= struct.unpack_from("<H", metadata, offsets)[0]:
        return 0
    place: int = struct.unpack_from("<H", metadata, offsets + entry)[0]
    return place


def _document(table: "pa.Table") -> dict[str, Any]:
    import pyarrow as pa

    columns: dict[str, Any] = {"features": {}}
    for field, chunked in zip(table.schema, table.columns, strict=True):
        array = _whole(chunked)
        if field.name == "features" and pa.types.is_struct(field.type):
            names = [field.type.field(i).name for i in range(field.type.num_fields)]
            found = dict(zip(names, array.flatten(), strict=True))
        else:
            found = {field.name: array}
        for name, values in found.items():
            place = columns if values is array and name in BESIDE_FEATURES else columns["features"]
            if name in place:
                raise Unreadable(f"two columns are named {name!r}")
            place[name] = values.to_pylist() if place is columns and name == "id" else _column(name, values)
    return columns


def _whole(chunked: "pa.ChunkedArray") -> "pa.Array":
    """Join the parts of a column, whose dictionaries may differ."""
    import pyarrow as pa

    if not pa.types.is_dictionary(chunked.type):
        return chunked.combine_chunks()
    if any(chunk.dictionary.null_count for chunk in chunked.chunks):  # those cannot be unified
        return pa.chunked_array([chunk.dictionary_decode() for chunk in chunked.chunks]).combine_chunks()
    return chunked.unify_dictionaries().combine_chunks()


def _column(name: str, array: "pa.Array") -> Any:
    import pyarrow as pa

    types, kind = pa.types, array.type
    if types.is_integer(kind) or types.is_floating(kind):
        return _buffer(array.cast(pa.float64(), safe=False), "<f8", missing=float("nan"))
    if types.is_boolean(kind) and name == "error":
        return [value is True for value in array.to_pylist()]
    if types.is_dictionary(kind) and not _is_text(kind.value_type):
        return _column(name, array.dictionary_decode())
    if _is_text(kind):
        array = array.cast(pa.large_string()).dictionary_encode()
    if types.is_dictionary(array.type):
        codes = _buffer(array.indices.cast(pa.int32()), "<i4", missing=-1)
        return {"values": array.dictionary.to_pylist(), "codes": codes}
    return array.to_pylist()


def _buffer(array: "pa.Array", numbers: str, *, missing: float) -> bytes:
    """Return the buffer of an array of these numbers, with `missing` for null."""
    present, data = array.buffers()
    if not len(array):
        return b""
    width = np.dtype(numbers).itemsize
    values = np.frombuffer(data, numbers, count=len(array), offset=array.offset * width)
    if array.null_count:
        bits = np.unpackbits(np.frombuffer(present, np.uint8), bitorder="little")
        values = np.where(bits[array.offset : array.offset + len(array)], values, missing).astype(numbers)
    return values.tobytes()


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
