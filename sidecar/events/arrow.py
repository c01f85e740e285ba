"""Arrow IPC streams to the columns that a MessagePack body has: buffers of float64, and texts as values and codes.

What comes out is decoded as such a body is, so that the same is refused for the same reasons. pyarrow is an extra, and
is imported at the first stream. `to_numpy`, and whatever makes Arrow of Python's values, such as `fill_null`, would
import pandas too where it is installed, which takes three times as long: buffers are read as they are.
"""

import struct
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.events.refusals import TooMany, Unreadable, Unsupported

if TYPE_CHECKING:
    import pyarrow as pa

BESIDE_FEATURES = ("id", "prediction", "probability", "latency_ms", "error")
_VERSION, _HEADER, _DICTIONARY_DATA, _COMPRESSION = 0, 2, 1, 3
"""Fields of the tables Message, DictionaryBatch and RecordBatch in Message.fbs of Arrow's format."""
_V5 = 4


def packed_columns(stream: bytes, *, events: int, values: int) -> bytes:
    """Return the columns of a stream as a MessagePack body.

    Columns are features by their names, or in a struct column `features`, beside `prediction`, `probability`,
    `latency_ms`, `error` and `id`. The model is named by `model` in the metadata of the schema. Raises Unsupported,
    Unreadable, and TooMany past `events` rows or so many values.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise Unsupported("Arrow streams need the extra `arrow`: pip install 'model-sidecar[arrow]'") from error
    try:
        table = _table(stream, events=events, values=values)
        document: dict[str, Any] = {"columns": _document(table)}
        if model := (table.schema.metadata or {}).get(b"model"):
            document["model"] = model.decode()
        return msgspec.msgpack.encode(document)
    except (pa.ArrowException, OSError, MemoryError, struct.error, ValueError, TypeError, OverflowError) as error:
        raise Unreadable(f"no Arrow stream: {str(error) or type(error).__name__}") from error


def _table(stream: bytes, *, events: int, values: int) -> "pa.Table":
    import pyarrow as pa

    for message in pa.ipc.MessageReader.open_stream(stream):
        # A few bytes may unpack to any number, and nothing would stop it.
        metadata = message.metadata.to_pybytes()
        if _version(metadata) != _V5:
            # Earlier ones have other ways to say that buffers are compressed.
            raise Unreadable("it is not of metadata version V5, which Arrow has written since 1.0")
        if _is_compressed(metadata, message.type):
            raise Unreadable("compressed buffers are not taken: use Content-Encoding")
    with pa.ipc.open_stream(stream) as reader:
        batches, rows = [], 0
        for batch in reader:
            rows += batch.num_rows
            if rows > events:
                raise TooMany(events, "events")
            if rows * _width(batch.schema) > values:
                raise TooMany(values, "values")
            batch.validate(full=True)  # offsets and codes come from outside, and are followed without a look
            batches.append(batch)
        return pa.Table.from_batches(batches, schema=reader.schema)


def _width(schema: "pa.Schema") -> int:
    """Return how many columns there are, those of structs included."""
    return sum(max(1, field.type.num_fields) for field in schema)


def _version(metadata: bytes) -> int:
    """Return the metadata version of a message."""
    table = struct.unpack_from("<I", metadata, 0)[0]
    place = _field(metadata, table, _VERSION)
    return struct.unpack_from("<h", metadata, table + place)[0] if place else 0


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
        if field.name == "features" and pa.types.is_struct(field.type):
            parts = chunked.combine_chunks().flatten()
            named = [
                (field.type.field(i).name, pa.chunked_array([part], type=part.type), columns["features"])
                for i, part in enumerate(parts)
            ]
        else:
            place = columns if field.name in BESIDE_FEATURES else columns["features"]
            named = [(field.name, chunked, place)]
        for name, values, place in named:
            if name in place:
                raise Unreadable(f"two columns are named {name!r}")
            place[name] = _ids(values) if place is columns and name == "id" else _column(name, values)
    return columns


def _ids(chunked: "pa.ChunkedArray") -> list[Any]:
    """Return ids as they are, since integers of 64 bits do not fit a double."""
    import pyarrow as pa

    kind = chunked.type.value_type if pa.types.is_dictionary(chunked.type) else chunked.type
    if not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise Unreadable(f"column 'id' is of type {kind}: expected text or integers")
    if pa.types.is_dictionary(chunked.type) and _is_text(kind):
        values, codes = _coded(chunked)
        return [None if code < 0 else values[code] for code in codes.tolist()]
    ids: list[Any] = chunked.to_pylist()
    return ids


def _column(name: str, chunked: "pa.ChunkedArray") -> Any:
    import pyarrow as pa

    types, kind = pa.types, chunked.type
    if types.is_null(kind):
        return np.full(len(chunked), np.nan).tobytes() if name != "error" else [None] * len(chunked)
    if types.is_dictionary(kind) and _is_scalar(kind.value_type):
        return _column(name, pa.chunked_array([c.dictionary_decode() for c in chunked.chunks], type=kind.value_type))
    if types.is_integer(kind) or types.is_floating(kind):
        return _buffer(chunked.combine_chunks().cast(pa.float64(), safe=False), "<f8", missing=float("nan"))
    if types.is_boolean(kind):
        values = chunked.to_pylist()
        return [value is True for value in values] if name == "error" else values
    if not _is_text(kind.value_type if types.is_dictionary(kind) else kind):
        # Not even looked into: expanding a dictionary of anything else may take any amount of memory.
        return {"type": str(kind)}  # refused where the column is listed
    texts, codes = _coded(chunked)
    return {"values": texts, "codes": codes.tobytes()}


def _coded(chunked: "pa.ChunkedArray") -> tuple[list[str], NDArray[np.int32]]:
    """Return the texts of a column and the index of each row's, -1 for null.

    Parts keep texts of their own: what they say together is bounded by the body, and what rows say is not.
    """
    import pyarrow as pa

    texts: list[str] = []
    codes: list[NDArray[np.int32]] = []
    for chunk in chunked.chunks:
        array = chunk if pa.types.is_dictionary(chunk.type) else chunk.cast(pa.large_string()).dictionary_encode()
        own = np.frombuffer(_buffer(array.indices.cast(pa.int32()), "<i4", missing=-1), np.int32)
        held = array.dictionary.to_pylist()
        # One more entry, for the code -1.
        place = np.array([-1 if text is None else len(texts) + i for i, text in enumerate(held)] + [-1], np.int32)
        codes.append(place[own])
        texts += ["" if text is None else text for text in held]
    return texts, np.concatenate(codes) if codes else np.empty(0, np.int32)


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


def _is_scalar(kind: "pa.DataType") -> bool:
    """Return whether a value takes at most eight bytes, so that a dictionary of them can be expanded."""
    import pyarrow as pa

    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_null(kind))
