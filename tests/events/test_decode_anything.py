import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import sidecar.events.decode as decode_module
from sidecar.events import forms
from sidecar.events.batch import Schema
from sidecar.events.decode import Decoder
from sidecar.events.forms import Form
from sidecar.events.refusals import TooMany, Unreadable
from sidecar.events.wire_types import learning_schema
from tests.events.support import (
    CHURN,
    EVENTS,
    FRAUD,
    JSON,
    LIMITS,
    MSGPACK,
    NDJSON,
    WAYS,
    content_of,
    decoder_of,
    good_events,
    packed,
    refused,
)


def _events_in(body: bytes, form: Form) -> int | None:
    """Number of events that a readable JSON body plainly holds, or None where that is not plain."""
    if form is NDJSON:
        return sum(1 for line in body.split(b"\n") if line.strip())
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, dict) and "columns" in document:
        return None
    return len(document) if isinstance(document, list) else 1


def _survives(decoder: Decoder, body: bytes, form: Form) -> None:
    try:
        decoded = decoder.decode(body, form)
    except (Unreadable, TooMany):
        return
    assert decoded.accepted + decoded.refusals.total <= LIMITS["events_per_body"]
    assert sum(content.events for content in content_of(decoded).values()) == decoded.accepted
    assert sum(decoded.refusals.by_kind.values()) == decoded.refusals.total
    events = None if form is MSGPACK else _events_in(body, form)
    if events is not None:
        assert decoded.accepted + decoded.refusals.total == events


def _survives_everywhere(body: bytes) -> None:
    for form in forms.FORMS:
        for schemas in ((FRAUD,), (learning_schema("fraud"),), (FRAUD, CHURN)):
            _survives(decoder_of(*schemas), body, form)


keys = st.sampled_from(
    [
        "features",
        "prediction",
        "probability",
        "latency_ms",
        "error",
        "model",
        "columns",
        "amount",
        "merchant",
        "days",
    ]
) | st.text(max_size=3)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=25)
    | st.sampled_from(["fraud", "churn", 10**400])
)


anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5))


odd_events = st.fixed_dictionaries(
    {"features": st.dictionaries(keys, scalars | anything, max_size=5)},
    optional=dict.fromkeys(("prediction", "probability", "latency_ms", "error", "model"), scalars),
)


odd_columns = st.fixed_dictionaries(
    {
        "columns": st.fixed_dictionaries(
            {"features": st.dictionaries(keys, st.lists(scalars, min_size=2, max_size=2) | anything, max_size=4)},
            optional={
                name: st.lists(scalars, min_size=2, max_size=2) | scalars
                for name in ("prediction", "probability", "latency_ms", "error", "model")
            },
        )
    },
    optional={"model": st.sampled_from(["fraud", "churn", "x"])},
)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_do_no_harm(body: bytes) -> None:
    _survives_everywhere(body)


@given(anything | odd_events | st.lists(odd_events | anything, max_size=6) | odd_columns)
@example({"features": {'"': 1}})
@example({"columns": {"features": {"amount": []}, "prediction": [1]}})
def test_arbitrary_json_does_no_harm(document: Any) -> None:
    _survives_everywhere(json.dumps(document).encode())


packed_scalars = (
    scalars.filter(lambda v: not isinstance(v, int) or -(2**63) <= v < 2**64) | st.floats() | st.binary(max_size=17)
)


packed_anything = st.recursive(
    packed_scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys | st.integers(0, 9) | st.binary(max_size=2), inner, max_size=4)
    ),
)


packed_columns = st.fixed_dictionaries(
    {
        "columns": st.fixed_dictionaries(
            {"features": st.dictionaries(keys, st.lists(packed_scalars, max_size=2) | packed_anything, max_size=4)},
            optional=dict.fromkeys(("prediction", "probability", "latency_ms", "error"), packed_anything),
        )
    },
)


@given(packed_columns | packed_anything)
def test_arbitrary_messagepack_does_no_harm(document: Any) -> None:
    _survives_everywhere(packed(document))


@given(st.lists(odd_events | good_events, min_size=1, max_size=5), st.sampled_from(sorted(WAYS)), st.data())
def test_mutated_bodies_do_no_harm(events: list[dict[str, Any]], way: str, data: st.DataObject) -> None:
    body = bytearray(json.dumps(events).encode() if way == "array" else WAYS[way](EVENTS)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        body = body or bytearray(b" ")
    _survives_everywhere(bytes(body))


without_features: st.SearchStrategy[dict[str, Any]] = st.sampled_from([{"error": True}, {"latency_ms": 1.5}])


@pytest.mark.parametrize(
    "schemas", [(FRAUD,), (FRAUD, CHURN), (learning_schema("fraud"),)], ids=["one", "two", "learning"]
)
@pytest.mark.parametrize("way", ["array", "lines", "texts"])
@given(st.lists(odd_events | good_events | without_features, min_size=1, max_size=8))
def test_many_events_are_counted_as_few_are(
    way: str, schemas: tuple[Schema, ...], events: list[dict[str, Any]]
) -> None:
    def outcome(many: int) -> Any:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(decode_module, "MANY_EVENTS", many)
            decoder = decoder_of(*schemas)
            if way == "texts":
                decoded = decoder.decode_texts([json.dumps(event).encode() for event in events])
            else:
                decoded = decoder.decode(*WAYS[way](events))
        return decoded.accepted, decoded.refusals, content_of(decoded)

    try:
        few = outcome(1000)
    except Unreadable as error:
        with pytest.raises(Unreadable, match=re.escape(str(error))):
            outcome(1)
    else:
        assert outcome(1) == few


@pytest.mark.parametrize("form", [JSON, NDJSON])
def test_of_many_events_those_without_features_are_errors_or_refused(form: Form) -> None:
    events = [{"features": {"amount": i}, "latency_ms": i} for i in range(600)]
    events[7] = {"error": True, "latency_ms": 7}
    way = "array" if form is JSON else "lines"
    decoder = decoder_of(events_per_body=1000)
    decoded = decoder.decode(*WAYS[way](events))
    assert decoded.batch is not None
    assert (decoded.batch.events, decoded.batch.rows, decoded.batch.errors) == (600, 599, 1)
    assert decoded.batch.numeric[0].tolist() == [i for i in range(600) if i != 7]
    events[300] = {"latency_ms": 300}
    decoded = decoder.decode(*WAYS[way](events))
    assert decoded.accepted == 599
    assert refused(decoded) == [(300, "$.features", "invalid")]
    with pytest.raises(TooMany, match="more than 50 events"):
        decoder_of().decode(*WAYS[way](events))


@given(st.lists(odd_events | good_events, max_size=8))
def test_what_is_accepted_does_not_depend_on_the_company(events: list[dict[str, Any]]) -> None:
    together = decoder_of().decode(json.dumps(events).encode(), JSON)
    alone = [decoder_of().decode(json.dumps(event).encode(), JSON) for event in events]
    assert together.accepted == sum(decoded.accepted for decoded in alone)
    assert together.refusals.total == sum(decoded.refusals.total for decoded in alone)
    assert [r.path for r in together.refusals.first] == [r.path for d in alone for r in d.refusals.first][:10]
