"""Schemas: the one owner of what the events of each model carry, and of the types and decoders made from it.

A schema begins as that of the model's reference, or of learning. It grows as events bring features that are not in
it: columns while a reference is learned, ignored names otherwise. The model replaces it once it has learned.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from sidecar.events.batch import Event, Schema
from sidecar.events.messages import placed
from sidecar.events.wire_types import columns_type, event_type, grown

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a body or an event that is not in its form raises."""

_LEFT_OUT = msgspec.Raw(b"null")


class Schemas:
    """The schemas of all models, and decoders for events and columns of any of them.

    `features` limits the inputs a model can learn, `string_length` is in characters. `alike` says that there is one
    model, so that events of a body are of one type.
    """

    alike: bool
    event_type: Any
    event: msgspec.json.Decoder[Event]
    events: msgspec.json.Decoder[list[Event]]
    columns_json: msgspec.json.Decoder[Any]
    columns_msgpack: msgspec.msgpack.Decoder[Any]

    def __init__(self, schemas: Iterable[Schema], *, string_length: int, features: int) -> None:
        self._schemas = {schema.model: schema for schema in schemas}
        self._string_length = string_length
        self._features = features
        self._types: dict[Schema, tuple[Any, Any, Any]] = {}
        self._build()

    def __getitem__(self, model: str) -> Schema:
        """Return the schema of a model."""
        return self._schemas[model]

    def replace(self, schema: Schema) -> None:
        """Decode a model's events by another schema from now on."""
        self._schemas[schema.model] = schema
        self._build()

    @property
    def width(self) -> int:
        """Number of values that an event of any model becomes, at the most."""
        return self._width

    def names(self) -> str:
        """Return the names of the models, for people."""
        return ", ".join(self._schemas)

    def of(self, row: Mapping[str, Any]) -> Schema | None:
        """Return the schema of an event or body decoded without types, None for an unknown model."""
        model = row.get("model", next(iter(self._schemas)) if len(self._schemas) == 1 else None)
        return self._schemas.get(model) if isinstance(model, str) else None

    def extend(self, schema: Schema, row: Mapping[str, Any]) -> Schema:
        """Add what is new in an event to its schema, and return that."""
        if not schema.learning and isinstance(row.get("features"), dict):
            columns, ignored = self._listed[schema.model]
            if all(name in columns or name in ignored for name in row["features"]):
                return schema
        new = grown(schema, row, features=self._features, string_length=self._string_length)
        if new == schema:
            return schema
        self.replace(new)
        return new

    def ignore_unlisted(self, items: Iterable[Any], loose: Callable[[Any], Any]) -> None:
        """Ignore the unlisted features of a body from now on. All at once, because each change rebuilds the types.

        `loose` decodes an item without types; one that it refuses, by an exception of `UNREADABLE`, is passed over.
        """
        unlisted: dict[str, dict[str, None]] = {}
        for item in items:
            try:
                row = loose(item)
            except UNREADABLE:
                continue  # refused when its turn comes
            schema = self.of(row) if isinstance(row, dict) else None
            if schema is not None and not schema.learning and isinstance(row.get("features"), dict):
                unlisted.setdefault(schema.model, {}).update(dict.fromkeys(row["features"]))
        for model, names in unlisted.items():
            self.extend(self._schemas[model], {"features": names})

    def snapshot(self) -> dict[str, Schema]:
        """Return the schemas as they are now, for `restore_columns`."""
        return dict(self._schemas)

    def restore_columns(self, before: Mapping[str, Schema]) -> None:
        """Go back to the columns of a snapshot; names that have come to be ignored stay so."""
        for model, schema in before.items():
            now = self._schemas[model]
            if now is not schema and now.numeric + now.categorical != schema.numeric + schema.categorical:
                self.replace(schema)

    def listed(self, row: Any) -> Any:
        """Extend the schema of a row's model by it, and return the row with the values of ignored names left out.

        Raises msgspec.ValidationError where there is no such model.
        """
        if not isinstance(row, dict) or not isinstance(row.get("features"), dict):
            return row
        schema = self.of(row)
        if schema is None and "model" in row:
            raise msgspec.ValidationError(placed(f"Invalid value {repr(row['model'])[:100]}", "$.model"))
        if schema is None:
            return row
        self.extend(schema, row)
        columns, ignored = self._listed[schema.model]
        features = {
            name: value if name in columns else _LEFT_OUT
            for name, value in row["features"].items()
            if name in columns or name in ignored or not isinstance(name, str)
        }
        return row | {"features": features}

    def _build(self) -> None:
        made = {
            schema: self._types.get(schema)
            or (
                event_type(schema, string_length=self._string_length),
                columns_type(schema, string_length=self._string_length, buffers=False),
                columns_type(schema, string_length=self._string_length, buffers=True),
            )
            for schema in self._schemas.values()
        }
        self._types, self.alike = made, len(made) == 1
        self._width = max(len(s.numeric) + len(s.categorical) + len(s.ignored) for s in made)
        self._listed = {s.model: (_inputs(s), frozenset(s.ignored)) for s in made}
        self.event_type, columns, packed_columns = (reduce(or_, types) for types in zip(*made.values(), strict=True))
        self.event = msgspec.json.Decoder(self.event_type)
        self.events = msgspec.json.Decoder(list[self.event_type])  # type: ignore[name-defined]
        self.columns_json = msgspec.json.Decoder(columns)
        self.columns_msgpack = msgspec.msgpack.Decoder(packed_columns)


def _inputs(schema: Schema) -> frozenset[str]:
    return frozenset(key.name for key in (*schema.numeric, *schema.categorical) if key.role == "input")
