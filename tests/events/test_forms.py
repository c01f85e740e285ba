"""Forms are one table: by media type, by first bytes and by number in a journal."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from sidecar.events import forms
from sidecar.events.forms import Bounds, Form, Translation
from sidecar.events.refusals import Unsupported
from sidecar.serve.operations import LABELS, MONITOR
from sidecar.storage import journal
from sidecar.storage.journal import Kind, Segment
from tests.events.support import decoder_of
from tests.plugins.serving import Start, fraud_config, post, request, samples, value

NUMBERS = {"JSON": 0, "NDJSON": 1, "MessagePack": 2, "Arrow": 3}
"""As they stand in journals of earlier versions."""


def rows_of_csv(body: bytes, bounds: Bounds) -> bytes:
    rows = csv.DictReader(io.StringIO(body.decode()), quoting=csv.QUOTE_NONNUMERIC)
    return b"\n".join(msgspec.json.encode({"features": row}) for row in rows)


TOY = Form(
    name="CSV",
    number=77,
    media_types=("text/csv",),
    magic=None,
    translation=Translation(rows_of_csv, forms.NDJSON),
    takes_labels=False,
)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Form:
    monkeypatch.setattr(forms, "FORMS", (*forms.FORMS, TOY))
    return TOY


def test_the_numbers_in_journals_never_change() -> None:
    assert {form.name: form.number for form in forms.FORMS} == NUMBERS
    assert [forms.of_number(number) for number in range(4)] == list(forms.FORMS)
    with pytest.raises(ValueError, match="no form has the number 4"):
        forms.of_number(4)


def test_no_two_forms_share_a_number_or_a_media_type() -> None:
    types = [media_type for form in forms.FORMS for media_type in form.media_types]
    assert len(types) == len(set(types))
    assert types == [media_type.lower() for media_type in types]


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        ("application/json", forms.JSON),
        ("Application/JSON; charset=utf-8", forms.JSON),
        ("application/vnd.example+json", forms.JSON),
        ("json", forms.JSON),
        ("", forms.JSON),
        ("application/x-www-form-urlencoded", forms.JSON),
        ("text/plain;charset=UTF-8", forms.JSON),
        ("application/octet-stream", forms.JSON),
        ("application/jsonl", forms.NDJSON),
        ("application/msgpack", forms.MSGPACK),
        ("application/vnd.apache.arrow.stream", forms.ARROW),
    ],
)
def test_a_form_is_told_by_its_media_type(content_type: str, form: Form) -> None:
    assert forms.of_content_type(content_type) is form


@pytest.mark.parametrize(
    "content_type", ["text/csv", "application/xml", "multipart/form-data; boundary=x", "image/png"]
)
def test_a_media_type_of_something_else_is_unsupported_and_the_known_ones_are_named(content_type: str) -> None:
    media_type = content_type.partition(";")[0]
    with pytest.raises(Unsupported, match=f"the media type '{media_type}' is not one of application/json, applic"):
        forms.of_content_type(content_type)


def test_a_body_of_an_unknown_type_is_answered_with_415_and_counted(start: Start, tmp_path: Path) -> None:
    process = start(fraud_config(tmp_path))
    for path, metric in (("/monitor", "events"), ("/labels", "labels")):
        reply = request(process.url, "POST", path, b'{"features": {}}', {"Content-Type": "application/xml"})
        assert reply.status == 415
        assert reply.json()["error"].startswith("the media type 'application/xml' is not one of application/json")
        found = samples(process.url)
        assert value(found, f"model_sidecar_{metric}_rejected_total", reason="unreadable", transport="http") == 1
    assert post(process.url, {"features": {}}, "application/x-www-form-urlencoded").status == 202
    assert value(samples(process.url), "model_sidecar_events_total", transport="http") == 1


def test_the_description_of_the_interface_has_every_form() -> None:
    assert list(MONITOR.bodies or ()) == [form.media_types[0] for form in forms.FORMS]
    assert list(LABELS.bodies or ()) == [form.media_types[0] for form in forms.FORMS if form.takes_labels]


def test_a_new_form_needs_a_line_of_the_table_alone(toy: Form, tmp_path: Path) -> None:
    body = b'"amount","merchant"\n5,"visa"\n7.5,"cash"\n'
    assert forms.of_content_type("text/csv") is toy
    decoded = decoder_of().decode(body, toy)
    assert [event.features.f0 for event in decoded.events] == [5.0, 7.5]
    segment = Segment(tmp_path / "1", store=b"s" * 16, number=1)
    segment.append(Kind.BODY, "http", body, now=1.0, form=toy)
    segment.close()
    [record] = journal.records(tmp_path / "1", store=b"s" * 16, number=1)
    assert (record.form, record.body) == (toy, body)


def test_a_form_is_told_by_its_first_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert forms.of_datagram(b' {"columns": {}}') is forms.JSON
    assert forms.of_datagram(b"\x81\xa7columns\x80") is forms.MSGPACK
    assert forms.of_datagram(b"\xff\xff\xff\xff\x10\x00\x00\x00") is forms.ARROW
    assert forms.of_datagram(b'{"error": true}') is None
    told = replace(TOY, magic=re.compile(b'"'))
    monkeypatch.setattr(forms, "FORMS", (*forms.FORMS, told))
    assert forms.of_datagram(b'"amount"\n5\n') is told
