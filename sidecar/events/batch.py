"""Events of a model: which columns they carry, and a batch of them as columns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np

from sidecar.statistics.bins import Category, Floats

UNFIT_NAME = re.compile(r'\A\Z|["\\\x00-\x1f\ud800-\udfff]')
"""Found in what cannot be the name of a feature: nothing at all, quotes, backslashes and control characters."""


class Key(NamedTuple):
    """A feature (role `input`) or `prediction` or `probability` (role `output`) of a model."""

    role: str
    name: str


PREDICTION = Key("output", "prediction")
PROBABILITY = Key("output", "probability")


@dataclass(frozen=True, slots=True)
class Schema:
    """What the events of a model carry: the columns of a Batch in order, inputs before outputs.

    `ignored` are names of features that events are known to carry and the reference is not. While `learning`,
    names that come up are added to the columns. Only where `ids` are wanted are they read.
    """

    model: str
    numeric: tuple[Key, ...] = ()
    categorical: tuple[Key, ...] = ()
    ignored: tuple[str, ...] = ()
    learning: bool = False
    ids: bool = False


class CodedColumn(msgspec.Struct, eq=False, forbid_unknown_fields=True):
    """A column of texts on the wire: the distinct ones, and little-endian int32 that index them, -1 for missing."""

    values: list[str]
    codes: memoryview


class Event(msgspec.Struct, eq=False, gc=False):
    """An event as decoded, by a subclass that is made from a Schema. An error event may come without features."""

    schema: ClassVar[Schema]
    features: Any
    prediction: Any = None
    probability: float | None = None
    latency_ms: float | None = None
    error: bool = False


Identifier = str | int
"""Identifies a prediction; an integer is the same as its text."""


@dataclass(frozen=True, slots=True)
class Identified:
    """Predictions with an id, as columns of one length: what each said, to be compared with its label."""

    ids: Sequence[Identifier] = ()
    predictions: Sequence[Category] = ()
    probabilities: Sequence[float | None] = ()


@dataclass(slots=True)
class Batch:
    """Validated events of one model as columns, in the order of its schema.

    `events` counts all of them; the columns leave out `events - rows` error events that came without features.
    `numeric` has the shape `(len(schema.numeric), rows)`, NaN is missing; `latency_seconds` holds those that were
    given; `unknown` counts values of ignored features. `identified` are the predictions that came with an id, where
    the schema wants them.
    """

    schema: Schema
    events: int
    errors: int
    latency_seconds: Floats
    rows: int
    numeric: Floats
    categorical: list[Sequence[Category]]
    unknown: int
    identified: Identified = Identified()

    def fitted(self, schema: Schema) -> "Batch":
        """Return the events with the columns of another schema: all missing where they have none of that name."""
        if self.schema.numeric == schema.numeric and self.schema.categorical == schema.categorical:
            return self
        numbers = dict(zip(self.schema.numeric, self.numeric, strict=True))
        texts = dict(zip(self.schema.categorical, self.categorical, strict=True))
        missing = np.full(self.rows, np.nan)
        numeric = [numbers.get(key, missing) for key in schema.numeric]
        return replace(
            self,
            schema=schema,
            numeric=np.array(numeric).reshape(len(numeric), self.rows),
            categorical=[texts.get(key, (None,) * self.rows) for key in schema.categorical],
        )

    def from_row(self, first: int) -> "Batch":
        """Return the rows from `first` on, without what is counted for the batch as a whole."""
        return replace(
            self,
            events=0,
            errors=0,
            latency_seconds=self.latency_seconds[:0],
            rows=self.rows - first,
            numeric=self.numeric[:, first:],
            categorical=[column[first:] for column in self.categorical],
            unknown=0,
            identified=Identified(),
        )
