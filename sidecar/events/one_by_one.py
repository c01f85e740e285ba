"""Events of a body that was refused as a whole, one by one: the bad ones are refused, the rest is kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from sidecar.events.batch import Event
from sidecar.events.columns import Misfit, rows_of_columns
from sidecar.events.decoded import Decoded
from sidecar.events.messages import is_beyond_doubles, lacks_model, placed, refusal_of
from sidecar.events.refusals import Refusal, Unreadable
from sidecar.events.schemas import UNREADABLE, Schemas

_TIMES_AS_LONG = 8
"""Cost of a value here relative to one in a column; the limit on values is smaller by it."""

_INFINITE = (float("inf"), float("-inf"))
_WHEN_MISSING = {"features": "required unless error is true"}


class OneByOne:
    """Validate events one by one, and add what is new in them to their schemas."""

    def __init__(self, schemas: Schemas, *, events_per_body: int, values_per_body: int) -> None:
        self._schemas = schemas
        self._events_per_body = events_per_body
        self._values_per_body = max(1, values_per_body // _TIMES_AS_LONG)

    def texts(self, texts: Sequence[bytes]) -> Decoded:
        """Validate events in JSON."""
        return self._each(texts, msgspec.json.decode, lambda text: self._schemas.event.decode(text))

    def body(self, texts: Sequence[bytes]) -> Decoded:
        """Validate the events of a body in JSON; raises Unreadable where none of them can be read."""
        decoded = self.texts(texts)
        if texts and decoded.refusals.by_kind.get("unreadable") == len(texts):
            raise Unreadable(decoded.refusals.first[0].reason)
        return decoded

    def columns(self, document: Any, message: str | None) -> Decoded:
        """Validate the rows of a columnar body decoded without types; `message` is msgspec's, if it has none.

        Raises TooMany.
        """
        columns = document.get("columns") if isinstance(document, dict) else None
        if not isinstance(columns, dict):
            path = "$.columns" if isinstance(document, dict) else "$"
            return Decoded.refused(Misfit(path, "expected an object of columns", events=1))
        if "model" in columns:
            what = "one model a body: name it beside the columns"
            return Decoded.refused(Misfit("$.columns.model", what, events=1))
        model = {"model": document["model"]} if "model" in document else {}
        passed_over, schema = self._not_columns(document), self._schemas.of(document)
        try:
            found = rows_of_columns(
                columns,
                passed_over,
                ids=schema is not None and schema.ids,
                counted=frozenset(schema.ignored if schema is not None else ()),
                width=self._schemas.width,
                events=self._events_per_body,
                values=self._values_per_body,
            )
            rows = [model | row for row in found]
        except Misfit as misfit:
            return Decoded.refused(misfit)
        if not rows and message is not None:
            decoded = Decoded()
            decoded.refusals.add(self._explained(refusal_of(0, message, when_missing=_WHEN_MISSING)))
            return decoded
        return self._each(rows, lambda row: row)

    def ignore_unlisted_columns(self, document: Any) -> bool:
        """Ignore from now on what is unlisted in a columnar body; returns whether there was anything new."""
        if not isinstance(document, dict) or not isinstance(document.get("columns"), dict):
            return False
        schema = self._schemas.of(document)
        if schema is None or schema.learning:
            return False
        new = self._schemas.extend(schema, {"features": dict.fromkeys(self._not_columns(document))})
        return new is not schema

    def _not_columns(self, document: Mapping[str, Any]) -> frozenset[str]:
        """Return the names in a columnar body that are no columns of its model, nor can become any."""
        features, schema = document["columns"].get("features"), self._schemas.of(document)
        if schema is None or not isinstance(features, dict):
            return frozenset()
        known = {key.name for key in (*schema.numeric, *schema.categorical) if key.role == "input"}
        return frozenset(features if not schema.learning else schema.ignored) - known

    def _each(
        self,
        items: Sequence[Any],
        loose: Callable[[Any], Any],
        typed: Callable[[Any], Event] | None = None,
    ) -> Decoded:
        """Validate items; `loose` decodes one without types, `typed` with."""
        self._schemas.ignore_unlisted(items, loose)
        decoded = Decoded()
        for index, item in enumerate(items):
            try:
                decoded.events.append(self._event(item, loose, typed))
            except msgspec.ValidationError as error:
                refusal = refusal_of(index, str(error), when_missing=_WHEN_MISSING)
                decoded.refusals.add(self._explained(refusal))
            except UNREADABLE as error:
                decoded.refusals.add(Refusal(index, "$", str(error), "unreadable"))
        return decoded

    def _event(self, item: Any, loose: Callable[[Any], Any], typed: Callable[[Any], Event] | None) -> Event:
        if typed is not None:
            try:
                return _with_features(typed(item))
            except msgspec.ValidationError as error:
                if is_beyond_doubles(str(error)):
                    raise
        before = self._schemas.snapshot()
        try:
            row = loose(item)
            event = _with_features(msgspec.convert(self._schemas.listed(row), self._schemas.event_type))
            _refuse_infinite(row.get("features") or {}, "$.features")
            _refuse_infinite({"prediction": event.prediction, "latency_ms": event.latency_ms}, "$")
        except msgspec.ValidationError:
            self._schemas.restore_columns(before)
            raise
        return event

    def _explained(self, refusal: Refusal) -> Refusal:
        """Say in words of the wire what a wrong or missing `model` looks like from inside."""
        if lacks_model(refusal):
            reason = f"required, because there are several: {self._schemas.names()}"
        elif refusal.path == "$.model":
            reason = f"{refusal.reason}; there is: {self._schemas.names()}"
        else:
            return refusal
        return replace(refusal, path="$.model", reason=reason, kind="unknown_model")


def _with_features(event: Event) -> Event:
    if event.features is None and not event.error:
        raise msgspec.ValidationError(placed("required unless error is true", "$.features"))
    return event


def _refuse_infinite(values: Mapping[str, Any], path: str) -> None:
    for name, value in values.items():
        if isinstance(value, float) and value in _INFINITE:
            raise msgspec.ValidationError(placed("Expected a finite number", f"{path}.{name}"))
