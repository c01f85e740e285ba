"""Bodies to validated events, all of a body in one call.

The call is by types made from the schema of each model. Only a body that it refuses is looked at event by event: see
`one_by_one`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from sidecar.events import forms
from sidecar.events.batch import Event, Schema
from sidecar.events.columns import (
    MANY_EVENTS,
    Incomplete,
    Misfit,
    OutOfBounds,
    batch_of_columns,
    batch_of_events,
    complete,
)
from sidecar.events.decoded import Decoded
from sidecar.events.forms import Bounds, Form
from sidecar.events.one_by_one import OneByOne
from sidecar.events.refusals import TooMany, Unreadable
from sidecar.events.schemas import UNREADABLE, Schemas

_SHORTEST_EVENT = len(b'{"error":true}')
_COLUMNS_FIRST = re.compile(rb'\s*\{\s*"columns"')


class Decoder:
    """Decode bodies for one or more models, whose schemas may grow as unlisted features come up.

    `features` limits the inputs a model can learn, `string_length` is in characters.
    """

    def __init__(
        self,
        schemas: Iterable[Schema],
        *,
        events_per_body: int,
        values_per_body: int,
        string_length: int,
        features: int,
    ) -> None:
        self.schemas = Schemas(schemas, string_length=string_length, features=features)
        self._one_by_one = OneByOne(self.schemas, events_per_body=events_per_body, values_per_body=values_per_body)
        self._events_per_body = events_per_body
        self._values_per_body = values_per_body

    def decode(self, body: bytes, form: Form) -> Decoded:
        """Decode a body; raises Unreadable or TooMany, and then nothing of it is to be counted."""
        if not body:
            raise Unreadable("the body is empty")
        if form is forms.JSON and body.startswith(b'{"') and not body.startswith(b'{"columns"'):
            return self._object(body)  # first, because a body of one event costs least
        if form.translation is not None:
            bounds = Bounds(events=self._events_per_body, values=self._values_per_body)
            body, form = form.translation.translate(body, bounds), form.translation.into
        if form is forms.MSGPACK:
            decoded = self._columnar(body, packed=True)
        elif form is forms.NDJSON:
            self._limit_values(body, array=False)
            decoded = self._lines(body)
        elif body.lstrip()[:1] == b"[":
            self._limit_values(body, array=True)
            decoded = self._array(body)
        elif _COLUMNS_FIRST.match(body):
            decoded = self._columnar(body, packed=False)
        else:
            return self._object(body)
        self._limit(decoded.accepted + decoded.refusals.total)
        return decoded

    def decode_texts(self, texts: Sequence[bytes]) -> Decoded:
        """Decode events that came one by one; each that cannot be read is refused."""
        try:
            return self._together(self.schemas.event.decode_lines(b"\n".join(texts)))
        except (*UNREADABLE, Incomplete):
            return self._one_by_one.texts(texts)

    def _object(self, body: bytes) -> Decoded:
        try:
            event = self.schemas.event.decode(body)
            if event.features is not None or event.error:
                return Decoded([event])
        except msgspec.ValidationError:
            pass
        except UNREADABLE as error:
            raise Unreadable(str(error)) from error
        if not _is_columnar(body):
            return self._one_by_one.body([body])
        decoded = self._columnar(body, packed=False)
        self._limit(decoded.accepted + decoded.refusals.total)
        return decoded

    def _array(self, body: bytes) -> Decoded:
        try:
            return self._together(self.schemas.events.decode(body))
        except (msgspec.ValidationError, Incomplete):
            pass
        except UNREADABLE as error:
            raise Unreadable(str(error)) from error
        try:
            texts = msgspec.json.decode(body, type=list[msgspec.Raw])
        except UNREADABLE as error:
            raise Unreadable(str(error)) from error
        self._limit(len(texts))
        return self._one_by_one.body([bytes(text) for text in texts])

    def _lines(self, body: bytes) -> Decoded:
        try:
            events = self.schemas.event.decode_lines(body)
            decoded = self._together(events)
        except (*UNREADABLE, Incomplete):
            lines = [line for line in body.split(b"\n") if line.strip()]
            self._limit(len(lines))
            return self._one_by_one.body(lines)
        if not events:
            raise Unreadable("the body is empty")
        return decoded

    def _together(self, events: list[Event]) -> Decoded:
        """Take events that were decoded in one go; raises Incomplete."""
        if self.schemas.alike and len(events) >= MANY_EVENTS:
            return Decoded(batch=batch_of_events(events))
        if not complete(events):
            raise Incomplete
        return Decoded(events)

    def _columnar(self, body: bytes, *, packed: bool) -> Decoded:
        """Decode a columnar body, column by column, or row by row where a column is refused."""
        typed = self.schemas.columns_msgpack.decode if packed else self.schemas.columns_json.decode
        loose: Callable[[bytes], Any] = msgspec.msgpack.decode if packed else msgspec.json.decode
        try:
            return Decoded(batch=batch_of_columns(typed(body), values=self._values_per_body))
        except Misfit as misfit:
            return Decoded.refused(misfit)
        except (msgspec.ValidationError, OutOfBounds) as error:
            try:
                document = loose(body)
            except UNREADABLE as unreadable:
                raise Unreadable(str(unreadable)) from unreadable
            if self._one_by_one.ignore_unlisted_columns(document):
                return self._columnar(body, packed=packed)
            message = None if isinstance(error, OutOfBounds) else str(error)
            return self._one_by_one.columns(document, message)
        except UNREADABLE as error:
            raise Unreadable(str(error)) from error

    def _limit_values(self, body: bytes, *, array: bool) -> None:
        """Refuse events that would become too many values, before they take memory; raises TooMany or Unreadable.

        An event without any feature is as wide as one with all. Counting events takes time, so that bodies which are
        too short to hold as many are not looked at.
        """
        most = self._values_per_body // self.schemas.width
        if len(body) < most * _SHORTEST_EVENT:
            return
        events = body.count(b"{" if array else b"\n") + 1
        if array and events > most:
            try:
                events = len(msgspec.json.decode(body, type=list[msgspec.Raw]))
            except UNREADABLE as error:
                raise Unreadable(str(error)) from error
        if events > most:
            raise TooMany(self._values_per_body, "values")

    def _limit(self, events: int) -> None:
        if events > self._events_per_body:
            raise TooMany(self._events_per_body, "events")


def _is_columnar(body: bytes) -> bool:
    """Tell whether a JSON value is an object with columns and without features; raises Unreadable."""
    try:
        keys = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return False
    except UNREADABLE as error:
        raise Unreadable(str(error)) from error
    return "columns" in keys and "features" not in keys
