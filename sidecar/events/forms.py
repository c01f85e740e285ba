"""Forms of bodies: one table of how events and labels may be written on the wire.

Listeners tell a form by its media type or its first bytes, the journal by its number, the decoder decodes it or has it
translated to another form first.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.events.arrow import packed_columns
from sidecar.events.refusals import Unsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a body may hold: events, and values, which are events times columns."""

    events: int
    values: int


@dataclass(frozen=True, slots=True)
class Translation:
    """How a form becomes another one before it is decoded: by a function of a body and of what it may hold."""

    translate: Callable[[bytes, Bounds], bytes]
    into: "Form"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a body is written.

    `media_types` are lower case, the first is the one to send. `number` stands in journals and never changes.
    `magic` is found at the start of a datagram in this form.
    """

    name: str
    number: int
    media_types: tuple[str, ...]
    magic: re.Pattern[bytes] | None = None
    translation: Translation | None = None
    takes_labels: bool = True


def _packed_columns(body: bytes, bounds: Bounds) -> bytes:
    return packed_columns(body, events=bounds.events, values=bounds.values)


JSON = Form(
    name="JSON",
    number=0,
    media_types=("application/json", "text/json", "application/x-json"),
    magic=re.compile(rb'\s*(?:\[|\{\s*"columns"|\{\s*"model"\s*:\s*"[^"\\]*"\s*,\s*"columns")'),
)
NDJSON = Form(
    name="NDJSON",
    number=1,
    media_types=("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"),
)
MSGPACK = Form(
    name="MessagePack",
    number=2,
    media_types=("application/x-msgpack", "application/msgpack", "application/vnd.msgpack"),
    magic=re.compile(rb"[\x80-\x8f\xde\xdf]"),
)
ARROW = Form(
    name="Arrow",
    number=3,
    media_types=("application/vnd.apache.arrow.stream",),
    magic=re.compile(rb"\xff\xff\xff\xff"),
    translation=Translation(_packed_columns, MSGPACK),
    takes_labels=False,
)

FORMS = (JSON, NDJSON, MSGPACK, ARROW)
"""Every form. A single event of a datagram, and lines of them, have no magic: they are what is left."""

_SAYS_NOTHING = ("application/x-www-form-urlencoded", "application/octet-stream", "text/plain")
"""Media types of clients that do not say what they send, such as `curl --data`."""


def of_content_type(content_type: str) -> Form:
    """Return the form of a Content-Type; raises Unsupported.

    JSON is assumed where it says nothing or is no media type, and for types that end in `+json`.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    for form in FORMS:
        if media_type in form.media_types:
            return form
    if "/" not in media_type or media_type in _SAYS_NOTHING or media_type.endswith("+json"):
        return JSON
    known = ", ".join(form.media_types[0] for form in FORMS)
    raise Unsupported(f"the media type {media_type[:100]!r} is not one of {known}")


def of_datagram(datagram: bytes) -> Form | None:
    """Return the form recognised by the first bytes, or None."""
    return next((form for form in FORMS if form.magic is not None and form.magic.match(datagram)), None)


def of_number(number: int) -> Form:
    """Return the form of a record of a journal; raises ValueError."""
    for form in FORMS:
        if form.number == number:
            return form
    raise ValueError(f"no form has the number {number}")
