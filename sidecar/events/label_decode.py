"""The wire of labels: bytes to what turned out to be true, each with the id of its prediction."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sidecar.events import forms
from sidecar.events.batch import Identifier
from sidecar.events.forms import Form
from sidecar.events.messages import refusal_of
from sidecar.events.refusals import Refusal, Refusals, TooMany, Unreadable, Unsupported
from sidecar.events.schemas import UNREADABLE
from sidecar.events.wire_types import identifier

_WHEN_MISSING = {"id": "required", "label": "required"}


class Label(msgspec.Struct, frozen=True, gc=False):
    """What turned out to be true of a prediction."""

    id: Identifier
    label: str | bool | int | float
    model: str | None = None


@dataclass(slots=True)
class DecodedLabels:
    """The good labels of a body, each with its index in it, and the refused ones.

    `accepted` is the number of those that were counted, of which nothing is known before they are joined.
    """

    labels: list[tuple[int, Label]] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)
    accepted: int = 0


class LabelDecoder:
    """Decode bodies of labels: one, an array, `{"labels": […]}`, or one on each line."""

    def __init__(self, *, labels_per_body: int, string_length: int) -> None:
        self._labels_per_body = labels_per_body
        largest = sys.float_info.max
        text = Annotated[str, Meta(max_length=string_length)]
        number = Annotated[float, Meta(ge=-largest, le=largest)]
        whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
        self._type: type[Label] = msgspec.defstruct(  # type: ignore[assignment]  # a subclass, which mypy cannot see
            "Label",
            [("id", identifier(string_length)), ("label", text | bool | whole | number), ("model", str | None, None)],
            bases=(Label,),
            frozen=True,
            gc=False,
        )

        self._many = list[self._type]  # type: ignore[name-defined]

    def decode(self, body: bytes, form: Form) -> DecodedLabels:
        """Decode a body; raises Unreadable or TooMany, and then nothing of it is to be counted."""
        if not form.takes_labels:
            takes = ", ".join(form.name for form in forms.FORMS if form.takes_labels)
            raise Unsupported(f"labels are not accepted as {form.name}: send one of {takes}")
        if not body.strip():
            raise Unreadable("the body is empty")
        if form is forms.NDJSON:
            lines = [line for line in body.split(b"\n") if line.strip()]
            self._limit(len(lines))
            return self._each(lines, msgspec.json.decode)
        read = msgspec.msgpack.decode if form is forms.MSGPACK else msgspec.json.decode
        try:
            document = read(body)
        except UNREADABLE as error:
            raise Unreadable(str(error)) from error
        if isinstance(document, dict) and "labels" in document and "id" not in document:
            document = document["labels"]
            if not isinstance(document, list):
                raise Unreadable("expected a list of labels - at `$.labels`")
        items = document if isinstance(document, list) else [document]
        self._limit(len(items))
        try:
            return DecodedLabels(list(enumerate(msgspec.convert(items, self._many))))
        except msgspec.ValidationError:
            return self._each(items, lambda item: item)

    def _each(self, items: Iterable[Any], read: Callable[[Any], Any]) -> DecodedLabels:
        decoded = DecodedLabels()
        for index, item in enumerate(items):
            try:
                decoded.labels.append((index, msgspec.convert(read(item), self._type)))
            except msgspec.ValidationError as error:
                decoded.refusals.add(refusal_of(index, str(error), when_missing=_WHEN_MISSING))
            except UNREADABLE as error:
                decoded.refusals.add(Refusal(index, "$", str(error), "unreadable"))
        return decoded

    def _limit(self, labels: int) -> None:
        if labels > self._labels_per_body:
            raise TooMany(self._labels_per_body, "labels")
