"""Bytes to validated events.

A whole body is validated in one call, by types made from the schema of each model. Only when that call refuses the
body are its events looked at one by one, to refuse the bad ones and keep the rest.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import islice
from operator import or_
from typing import Any

import msgspec

from sidecar.events import forms
from sidecar.events.batch import Batch, Event, Schema
from sidecar.events.columns import (
    Incomplete,
    Misfit,
    OutOfBounds,
    batch_of_columns,
    batch_of_events,
    complete,
    rows_of_columns,
)
from sidecar.events.forms import Form
from sidecar.events.refusals import Refusal, Refusals, TooManyEvents, Unreadable
from sidecar.events.wire_types import columns_type, event_type, grown

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_COLUMNS_FIRST = re.compile(rb'\s*\{\s*"columns"')
_MESSAGE = re.compile(r"(.*) - at (?:`key` in )?`(\$.*)`", re.DOTALL)
_BEYOND_DOUBLES = ("Number out of range", "Integer value out of range")
_PASSED_OVER = msgspec.Raw(b"null")
_INFINITE = (float("inf"), float("-inf"))
_MANY_EVENTS = 256
"""Events of a body from which on they become columns at once."""


class Decoded(msgspec.Struct):
    """The good events of a body, as rows or as one batch of columns, and the refused ones."""

    events: list[Event] = []
    batch: Batch | None = None
    refusals: Refusals = msgspec.field(default_factory=Refusals)

    @property
    def accepted(self) -> int:
        """Number of good events."""
        return len(self.events) + (self.batch.events if self.batch else 0)


class Decoder:
    """Decode bodies for one or more models, whose schemas may grow as unlisted features come up.

    `features` limits the inputs a model can learn, `string_length` is in characters.
    """

    def __init__(self, schemas: Iterable[Schema], *, events_per_body: int, string_length: int, features: int) -> None:
        self._schemas = {schema.model: schema for schema in schemas}
        self._events_per_body = events_per_body
        self._string_length = string_length
        self._features = features
        self._types: dict[Schema, tuple[Any, Any, Any]] = {}
        self._build()

    def schema(self, model: str) -> Schema:
        """Return the schema that a model's events are decoded by now."""
        return self._schemas[model]

    def update(self, schema: Schema) -> None:
        """Decode a model's events by another schema from now on."""
        self._schemas[schema.model] = schema
        self._build()

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
        self._types, self._alike = made, len(made) == 1
        self._event, columns, packed_columns = (reduce(or_, types) for types in zip(*made.values(), strict=True))
        self._one = msgspec.json.Decoder(self._event)
        self._many = msgspec.json.Decoder(list[self._event])  # type: ignore[name-defined]
        self._columns_json = msgspec.json.Decoder(columns)
        self._columns_msgpack = msgspec.msgpack.Decoder(packed_columns)

    def decode(self, body: bytes, form: Form) -> Decoded:
        """Decode a body; raises Unreadable or TooManyEvents, and then nothing of it is to be counted."""
        if not body:
            raise Unreadable("the body is empty")
        if form is forms.JSON and body.startswith(b'{"') and not body.startswith(b'{"columns"'):
            return self._object(body)  # first, because a body of one event costs least
        if form.translation is not None:
            body, form = form.translation.translate(body, self._events_per_body), form.translation.into
        if form is forms.MSGPACK:
            decoded = self._columnar(body, self._columns_msgpack.decode, msgspec.msgpack.decode)
        elif form is forms.NDJSON:
            decoded = self._lines(body)
        elif body.lstrip()[:1] == b"[":
            decoded = self._array(body)
        elif _COLUMNS_FIRST.match(body):
            decoded = self._columnar(body, self._columns_json.decode, msgspec.json.decode)
        else:
            return self._object(body)
        self._limit(decoded.accepted + decoded.refusals.total)
        return decoded

    def _object(self, body: bytes) -> Decoded:
        try:
            event: Event = self._one.decode(body)
            if event.features is not None or event.error:
                return Decoded([event])
        except msgspec.ValidationError:
            pass
        except _UNREADABLE as error:
            raise Unreadable(str(error)) from error
        if not _is_columnar(body):
            return self._each_text([body])
        decoded = self._columnar(body, self._columns_json.decode, msgspec.json.decode)
        self._limit(decoded.accepted + decoded.refusals.total)
        return decoded

    def _array(self, body: bytes) -> Decoded:
        try:
            events: list[Event] = self._many.decode(body)
            return self._together(events)
        except (msgspec.ValidationError, Incomplete):
            pass
        except _UNREADABLE as error:
            raise Unreadable(str(error)) from error
        try:
            texts = msgspec.json.decode(body, type=list[msgspec.Raw])
        except _UNREADABLE as error:
            raise Unreadable(str(error)) from error
        self._limit(len(texts))
        return self._each_text([bytes(text) for text in texts])

    def _lines(self, body: bytes) -> Decoded:
        try:
            events: list[Event] = self._one.decode_lines(body)
            decoded = self._together(events)
        except (*_UNREADABLE, Incomplete):
            lines = [line for line in body.split(b"\n") if line.strip()]
            self._limit(len(lines))
            return self._each_text(lines)
        if not events:
            raise Unreadable("the body is empty")
        return decoded

    def _together(self, events: list[Event]) -> Decoded:
        """Take events that were decoded in one go; raises Incomplete."""
        if self._alike and len(events) >= _MANY_EVENTS:
            return Decoded(batch=batch_of_events(events))
        if not complete(events):
            raise Incomplete
        return Decoded(events)

    def _columnar(self, body: bytes, typed: Callable[[bytes], Any], loose: Callable[[bytes], Any]) -> Decoded:
        """Decode a columnar body, column by column, or row by row where a column is refused."""
        decoded = Decoded()
        try:
            decoded.batch = batch_of_columns(typed(body))
        except Misfit as misfit:
            _refuse_body(decoded, misfit)
        except (msgspec.ValidationError, OutOfBounds) as error:
            try:
                document = loose(body)
            except _UNREADABLE as unreadable:
                raise Unreadable(str(unreadable)) from unreadable
            return self._rows_of(document, None if isinstance(error, OutOfBounds) else _refusal(0, str(error)))
        except _UNREADABLE as error:
            raise Unreadable(str(error)) from error
        return decoded

    def _rows_of(self, document: Any, refusal: Refusal | None) -> Decoded:
        """Validate the rows of a body one by one; `refusal` is what is wrong if there are none."""
        decoded = Decoded()
        columns = document.get("columns") if isinstance(document, dict) else None
        if not isinstance(columns, dict):
            path = "$.columns" if isinstance(document, dict) else "$"
            _refuse_body(decoded, Misfit(path, "expected an object of columns", events=1))
            return decoded
        if "model" in columns:
            what = "one model a body: name it beside the columns"
            _refuse_body(decoded, Misfit("$.columns.model", what, events=1))
            return decoded
        model = {"model": document["model"]} if "model" in document else {}
        most = self._events_per_body + 1
        try:
            schema = self._schema_of(document)
            found = rows_of_columns(columns, self._passed_over(document), ids=schema is not None and schema.ids)
            rows = [model | row for row in islice(found, most)]
        except Misfit as misfit:
            _refuse_body(decoded, misfit)
            return decoded
        if not rows and refusal:
            decoded.refusals.add(self._explain(refusal))
            return decoded
        self._limit(len(rows))
        return self._each(rows, lambda row: row)

    def _passed_over(self, document: dict[str, Any]) -> frozenset[str]:
        """Return the names in a columnar body that are no columns of its model, nor can become any."""
        features, schema = document["columns"].get("features"), self._schema_of(document)
        if schema is None or not isinstance(features, dict):
            return frozenset()
        known = {key.name for key in (*schema.numeric, *schema.categorical) if key.role == "input"}
        return frozenset(features if not schema.learning else schema.ignored) - known

    def decode_texts(self, texts: Sequence[bytes]) -> Decoded:
        """Decode events that came one by one; each that cannot be read is refused."""
        try:
            return self._together(self._one.decode_lines(b"\n".join(texts)))
        except (*_UNREADABLE, Incomplete):
            pass
        return self._each(texts, msgspec.json.decode, lambda text: self._one.decode(text))

    def _each_text(self, texts: Sequence[bytes]) -> Decoded:
        decoded = self._each(texts, msgspec.json.decode, lambda text: self._one.decode(text))
        if texts and decoded.refusals.by_kind.get("unreadable") == len(texts):
            raise Unreadable(decoded.refusals.first[0].reason)
        return decoded

    def _each(
        self,
        items: Sequence[Any],
        loose: Callable[[Any], Any],
        typed: Callable[[Any], Event] | None = None,
    ) -> Decoded:
        """Validate events one by one; `loose` decodes one without types, `typed` with."""
        self._meet(items, loose)
        decoded = Decoded()
        for index, item in enumerate(items):
            try:
                decoded.events.append(self._one_event(item, loose, typed))
            except msgspec.ValidationError as error:
                decoded.refusals.add(self._explain(_refusal(index, str(error))))
            except _UNREADABLE as error:
                decoded.refusals.add(Refusal(index, "$", str(error), "unreadable"))
        return decoded

    def _meet(self, items: Sequence[Any], loose: Callable[[Any], Any]) -> None:
        """Ignore from now on what is unlisted in the events of a body: all at once, since types are then made anew."""
        unlisted: dict[str, dict[str, None]] = {}
        for item in items:
            try:
                row = loose(item)
            except _UNREADABLE:
                continue  # refused when its turn comes
            schema = self._schema_of(row) if isinstance(row, dict) else None
            if schema is not None and not schema.learning and isinstance(row.get("features"), dict):
                unlisted.setdefault(schema.model, {}).update(dict.fromkeys(row["features"]))
        for model, names in unlisted.items():
            self._grow(self._schemas[model], {"features": names})

    def _grow(self, schema: Schema, row: dict[str, Any]) -> Schema:
        new = grown(schema, row, features=self._features, string_length=self._string_length)
        if new != schema:
            self.update(new)
        return new

    def _one_event(self, item: Any, loose: Callable[[Any], Any], typed: Callable[[Any], Event] | None) -> Event:
        if typed is not None:
            try:
                return _with_features(typed(item))
            except msgspec.ValidationError as error:
                if str(error).startswith(_BEYOND_DOUBLES):
                    raise
        known = dict(self._schemas)
        try:
            return self._acquainted(loose(item))
        except msgspec.ValidationError:
            self._forget(known)
            raise

    def _acquainted(self, item: Any) -> Event:
        """Validate an event with all that is new in it."""
        row = self._acquaint(item)
        event = _with_features(msgspec.convert(row, self._event))
        _refuse_infinite(row.get("features") or {}, "$.features")
        _refuse_infinite({"prediction": event.prediction, "latency_ms": event.latency_ms}, "$")
        return event

    def _forget(self, known: Mapping[str, Schema]) -> None:
        """Take back the columns that a refused event brought, so that it decides no kind."""
        for model, before in known.items():
            if self._schemas[model].numeric + self._schemas[model].categorical != before.numeric + before.categorical:
                self.update(before)

    def _acquaint(self, row: Any) -> Any:
        """Give the schema of a row's model what is new in it, and return the row with ignored values passed over."""
        if not isinstance(row, dict) or not isinstance(row.get("features"), dict):
            return row
        schema = self._schema_of(row)
        if schema is None and "model" in row:
            raise msgspec.ValidationError(f"Invalid value {repr(row['model'])[:100]} - at `$.model`")
        if schema is None:
            return row
        new = self._grow(schema, row)
        columns = {key.name for key in (*new.numeric, *new.categorical) if key.role == "input"}
        ignored = frozenset(new.ignored)
        features = {
            name: value if name in columns else _PASSED_OVER
            for name, value in row["features"].items()
            if name in columns or name in ignored or not isinstance(name, str)
        }
        return row | {"features": features}

    def _schema_of(self, row: dict[str, Any]) -> Schema | None:
        model = row.get("model", next(iter(self._schemas)) if len(self._schemas) == 1 else None)
        return self._schemas.get(model) if isinstance(model, str) else None

    def _explain(self, refusal: Refusal) -> Refusal:
        """Say in words of the wire what a wrong `model` looks like from inside."""
        if "required field `model`" in refusal.reason:
            reason = f"required, because there are several: {self._model_names()}"
            return Refusal(refusal.index, "$.model", reason, "unknown_model")
        if refusal.path == "$.model":
            return Refusal(
                refusal.index,
                "$.model",
                f"{refusal.reason}; there is: {self._model_names()}",
                "unknown_model",
            )
        return refusal

    def _model_names(self) -> str:
        return ", ".join(self._schemas)

    def _limit(self, events: int) -> None:
        if events > self._events_per_body:
            raise TooManyEvents(f"the body holds more than {self._events_per_body} events")


def _with_features(event: Event) -> Event:
    if event.features is None and not event.error:
        raise msgspec.ValidationError("required unless error is true - at `$.features`")
    return event


def _refuse_body(decoded: Decoded, misfit: Misfit) -> None:
    decoded.refusals.add(Refusal(0, misfit.path, misfit.reason), events=max(1, misfit.events))


def _refusal(index: int, message: str) -> Refusal:
    match = _MESSAGE.fullmatch(message)
    reason, path = match.groups() if match else (message, "$")
    missing = re.fullmatch(r"Object missing required field `(\w+)`", reason)
    if missing and missing[1] == "features":
        return Refusal(index, f"{path}.features", "required unless error is true")
    return Refusal(index, path, reason)


def _refuse_infinite(values: Mapping[str, Any], path: str) -> None:
    for name, value in values.items():
        if isinstance(value, float) and value in _INFINITE:
            raise msgspec.ValidationError(f"Expected a finite number - at `{path}.{name}`")


def _is_columnar(body: bytes) -> bool:
    """Tell whether a JSON value is an object with columns and without features; raises Unreadable."""
    try:
        keys = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return False
    except _UNREADABLE as error:
        raise Unreadable(str(error)) from error
    return "columns" in keys and "features" not in keys
