"""The wire: what a body of prediction events holds, and how one of them is refused."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, NamedTuple

import msgspec

from sidecar.statistics.bins import Category, Floats

MOST_ERRORS = 10
"""Refusals told in an answer; all are counted."""


class Form(Enum):
    """How a body is written, by its media type."""

    JSON = "application/json"
    NDJSON = "application/x-ndjson"
    MSGPACK = "application/x-msgpack"
    ARROW = "application/vnd.apache.arrow.stream"


class Unreadable(Exception):
    """The body is not what its form says; nothing of it is counted."""


class Unsupported(Unreadable):
    """The form is not one for what is sent, or needs what is not installed."""


class TooManyEvents(Exception):
    """The body holds more events than the limit; nothing of it is counted."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused event: its index in the body, the path of the field, the reason for people, the kind for metrics."""

    index: int
    path: str
    reason: str
    kind: str = "invalid"


class Refusals(msgspec.Struct):
    """The refused events of one body: the first few in full, all of them in numbers."""

    first: list[Refusal] = []
    by_kind: dict[str, int] = {}
    total: int = 0

    def add(self, refusal: Refusal, *, events: int = 1) -> None:
        """Count a refusal that stands for one or more events."""
        if len(self.first) < MOST_ERRORS:
            self.first.append(refusal)
        self.by_kind[refusal.kind] = self.by_kind.get(refusal.kind, 0) + events
        self.total += events


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
"""What tells a prediction from others; an integer is the same as its text."""


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
