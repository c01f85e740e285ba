import json
import tracemalloc
from typing import Any

import pytest

from sidecar.events.forms import Form
from sidecar.events.refusals import TooMany, Unreadable
from tests.events.bad_columns import BAD_COLUMNS
from tests.events.bad_events import BAD_EVENTS
from tests.events.support import EVENTS, JSON, MSGPACK, NDJSON, WAYS, Outcome, decoder_of, packed, refused


@pytest.mark.parametrize(
    ("form", "body", "outcome"),
    [row[1:] for row in (*BAD_EVENTS, *BAD_COLUMNS)],
    ids=[row[0] for row in (*BAD_EVENTS, *BAD_COLUMNS)],
)
def test_bad_body_is_refused_exactly(form: Form, body: bytes, outcome: Outcome) -> None:
    decoder = decoder_of()
    if isinstance(outcome, type):
        with pytest.raises(outcome):
            decoder.decode(body, form)
    else:
        decoded = decoder.decode(body, form)
        assert (decoded.accepted, refused(decoded)) == outcome
    assert decoder.decode(*WAYS["array"](EVENTS)).accepted == len(EVENTS)


@pytest.mark.parametrize("way", WAYS)
def test_a_body_cut_at_any_byte_is_unreadable_or_counts_whole_lines(way: str) -> None:
    body, form = WAYS[way](EVENTS)
    decoder = decoder_of()
    events = body.split(b"\n") if form is NDJSON else []
    for end in range(len(body)):
        lines = [line for line in body[:end].split(b"\n") if line]
        whole = sum(line in events for line in lines)
        if whole == 0:
            with pytest.raises(Unreadable):
                decoder.decode(body[:end], form)
        else:
            decoded = decoder.decode(body[:end], form)
            assert (decoded.accepted, decoded.refusals.total) == (whole, len(lines) - whole)


@pytest.mark.parametrize(
    "header",
    [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"],
)
@pytest.mark.parametrize("before", [b"", b"\x81\xa7columns\x81\xa8features\x81\xa6amount", b"\x81\xa1x"])
def test_a_declared_length_reserves_no_memory(before: bytes, header: bytes) -> None:
    decoder = decoder_of()
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable):
            decoder.decode(before + header, MSGPACK)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_rows_past_the_limit_are_not_made_to_be_refused() -> None:
    decoder = decoder_of()
    columns = {"features": {"amount": bytes(8 * 200_000)}, "prediction": [[]] * 200_000}
    body = packed({"columns": columns})
    tracemalloc.start()
    try:
        with pytest.raises(TooMany, match="more than 50 events"):
            decoder.decode(body, MSGPACK)
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()


def test_only_the_first_refusals_are_told_and_all_are_counted() -> None:
    events: list[dict[str, Any]] = [{"features": {}, "latency_ms": -1}, {"features": {}, "model": "x"}] * 20
    decoded = decoder_of().decode(json.dumps(events).encode(), JSON)
    assert len(decoded.refusals.first) == 10
    assert decoded.refusals.total == 40
    assert decoded.refusals.by_kind == {"invalid": 20, "unknown_model": 20}
