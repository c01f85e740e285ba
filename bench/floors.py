"""Floors: the least that decoding, making columns and counting in bins cost, written for these events alone.

No windows, no limits, no check beyond the types, no errors told: what is left of the work when all that is taken away.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import astuple
from numpy.typing import NDArray

from sidecar.reference import NumericProfile, Profile

Floats = NDArray[np.float64]


class Floor:
    """Decode the bodies of a reference's numeric features to a matrix of shape (features, events), and count it."""

    def __init__(self, profile: Profile) -> None:
        names = [feature.name for feature in profile.features]
        edges = [np.asarray(f.edges) for f in profile.features if isinstance(f, NumericProfile)]
        if len(edges) != len(names):
            raise ValueError("floors are of numeric features")
        self.edges = edges
        sizes = [len(found) + 2 for found in edges]
        self.starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.intp)
        self.counts = np.zeros(sum(sizes), dtype=np.int64)
        fields = [f"f{i}" for i in range(len(names))]
        self.events: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_event_type(names, fields, float))
        self.arrays: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[_event_type(names, fields, float)])  # type: ignore[misc]
        self.lists: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_columns_type(names, fields, list[float]))
        self.buffers: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(_columns_type(names, fields, memoryview))

    def decode(self, content: bytes, form: str) -> Floats:
        """Return the matrix of a body; the form is one of `bench.work.KEYS`."""
        match form:
            case "one":
                return self._matrix([self.events.decode(content)])
            case "array":
                return self._matrix(self.arrays.decode(content))
            case "ndjson":
                return self._matrix(self.events.decode_lines(content))
            case "columns":
                return np.array(astuple(self.lists.decode(content).columns.features))
            case _:
                columns = astuple(self.buffers.decode(content).columns.features)
                return np.array([np.frombuffer(column) for column in columns])

    def parse(self, content: bytes, form: str) -> object:
        """Decode a body to objects and no further."""
        decoders: dict[str, Callable[[bytes], object]] = {
            "one": self.events.decode,
            "array": self.arrays.decode,
            "ndjson": self.events.decode_lines,
        }
        decoders |= {"columns": self.lists.decode, "msgpack": self.buffers.decode}
        return decoders[form](content)

    def count(self, matrix: Floats) -> None:
        """Count a matrix in the bins: one search a feature, one bincount."""
        indices = np.empty(matrix.shape, dtype=np.intp)
        for i, (edges, start) in enumerate(zip(self.edges, self.starts, strict=True)):
            indices[i] = edges.searchsorted(matrix[i])
            indices[i] += start
        if indices.size * 8 < self.counts.size:
            np.add.at(self.counts, indices.ravel(), 1)
        else:
            self.counts += np.bincount(indices.ravel(), minlength=self.counts.size)

    def _matrix(self, events: list[msgspec.Struct]) -> Floats:
        width = len(self.edges)
        values = chain.from_iterable(astuple(event.features) for event in events)  # type: ignore[attr-defined]
        return np.fromiter(values, np.float64, len(events) * width).reshape(-1, width).T


def _event_type(names: list[str], fields: list[str], kind: object) -> type:
    features = msgspec.defstruct(
        "Features", [(field, kind) for field in fields], rename=dict(zip(fields, names, strict=True)), gc=False
    )
    return msgspec.defstruct("Event", [("features", features), ("latency_ms", float | None, None)], gc=False)


def _columns_type(names: list[str], fields: list[str], kind: object) -> type:
    features = msgspec.defstruct(
        "Features", [(field, kind) for field in fields], rename=dict(zip(fields, names, strict=True))
    )
    columns = msgspec.defstruct("Columns", [("features", features), ("latency_ms", kind | None, None)])  # type: ignore[operator]
    return msgspec.defstruct("Body", [("columns", columns)])
