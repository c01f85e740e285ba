import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sidecar.monitor.event_buffer as buffer_module
from sidecar.events import forms
from sidecar.events.batch import PREDICTION, Batch, Identified, Key, Schema
from sidecar.events.decode import Decoder
from sidecar.events.wire_types import learning_schema
from sidecar.monitor.event_buffer import EventBuffer
from sidecar.statistics.bins import Coded

AMOUNT, MERCHANT = Key("input", "amount"), Key("input", "merchant")
FRAUD = Schema("fraud", numeric=(AMOUNT,), categorical=(MERCHANT, PREDICTION), ids=True)
CHURN = Schema("churn", numeric=(Key("input", "days"),))


def _decoder(*schemas: Schema) -> Decoder:
    return Decoder(schemas, events_per_body=10_000, values_per_body=10**6, string_length=20, features=5)


def _batch(first: int, rows: int, *, coded: bool = False) -> Batch:
    numbers = np.arange(first, first + rows, dtype=float)
    merchants = Coded(("a", "b"), np.zeros(rows, np.int32)) if coded else [f"m{i}" for i in range(first, first + rows)]
    return Batch(
        schema=FRAUD,
        events=rows + 1,
        errors=1,
        latency_seconds=numbers / 1000,
        rows=rows,
        numeric=numbers[None, :],
        categorical=[merchants, (None,) * rows],
        unknown=2,
        identified=Identified([first], ["x"], [0.5]),
    )


def _add(buffer: EventBuffer, decoder: Decoder, document: Any) -> None:
    body = json.dumps(document).encode()
    decoded = decoder.decode(body, forms.JSON)
    buffer.add(decoded.events, decoded.batch, body_bytes=len(body), now=0.0)


def test_batches_of_a_schema_become_one() -> None:
    buffer = EventBuffer()
    buffer.add([], _batch(0, 3), body_bytes=1, now=0.0)
    buffer.add([], _batch(3, 2), body_bytes=1, now=0.0)
    assert not buffer.full
    [batch] = buffer.take()
    assert (batch.events, batch.errors, batch.rows, batch.unknown) == (7, 2, 5, 4)
    assert batch.numeric.tolist() == [[0, 1, 2, 3, 4]]
    assert batch.latency_seconds.tolist() == pytest.approx([0, 0.001, 0.002, 0.003, 0.004])
    assert batch.categorical == [["m0", "m1", "m2", "m3", "m4"], [None] * 5]
    assert batch.identified == Identified([0, 3], ["x", "x"], [0.5, 0.5])
    assert buffer.take() == []


def test_columns_with_codes_stay_apart_because_each_has_codes_of_its_own() -> None:
    buffer = EventBuffer()
    coded = [_batch(0, 100, coded=True), _batch(102, 100, coded=True)]
    for batch in (coded[0], _batch(100, 2), coded[1], _batch(202, 2)):
        buffer.add([], batch, body_bytes=1, now=0.0)
    first, merged, last = buffer.take()
    assert first is coded[0]
    assert last is coded[1]
    assert merged.numeric.tolist() == [[100, 101, 202, 203]]


def test_columns_with_codes_do_not_wait_because_they_keep_their_body_and_come_after_what_does() -> None:
    buffer = EventBuffer()
    coded = _batch(2, 100, coded=True)
    buffer.add([], _batch(0, 2), body_bytes=1, now=0.0)
    assert not buffer.full
    buffer.add([], coded, body_bytes=1, now=0.0)
    assert buffer.full
    first, second = buffer.take()
    assert first.numeric.tolist() == [[0, 1]]
    assert second is coded


def test_few_codes_wait_as_the_texts_they_stand_for() -> None:
    buffer = EventBuffer()
    few = _batch(0, 3, coded=True)
    few.categorical[0] = Coded(("a", "b"), np.array([1, -1, 0], np.int32))
    buffer.add([], few, body_bytes=1, now=0.0)
    buffer.add([], _batch(3, 2), body_bytes=1, now=0.0)
    assert not buffer.full
    [batch] = buffer.take()
    assert batch.numeric.tolist() == [[0, 1, 2, 3, 4]]
    assert batch.categorical == [["b", None, "a", "m3", "m4"], [None] * 5]


def test_events_with_ids_keep_their_order_because_the_first_of_an_id_counts() -> None:
    decoder, buffer = _decoder(FRAUD), EventBuffer()
    for number in range(3):
        _add(buffer, decoder, {"features": {"amount": number}, "id": number, "prediction": "x"})
    _add(buffer, decoder, {"columns": {"features": {"amount": [3.0]}, "id": [3], "prediction": ["x"]}})
    _add(buffer, decoder, {"features": {"amount": 4}, "id": 4, "prediction": "x"})
    [batch] = buffer.take()
    assert batch.identified.ids == [0, 1, 2, 3, 4]
    assert batch.numeric.tolist() == [[0, 1, 2, 3, 4]]


def test_no_more_than_some_bodies_wait_however_few_numbers_they_hold() -> None:
    decoder, buffer = _decoder(CHURN), EventBuffer()
    for _ in range(255):
        _add(buffer, decoder, {"columns": {"features": {"days": []}}})
    assert not buffer.full
    _add(buffer, decoder, {"columns": {"features": {"days": []}}})
    assert buffer.full
    assert [batch.events for batch in buffer.take()] == [0]


def test_no_more_than_some_bytes_wait_whatever_they_hold() -> None:
    decoder, buffer = _decoder(CHURN), EventBuffer()
    event = {"features": {"days": 1, "unlisted": "x" * 2**20}}
    for _ in range(7):
        _add(buffer, decoder, event)
    assert not buffer.full
    _add(buffer, decoder, event)
    assert buffer.full
    assert [batch.events for batch in buffer.take()] == [8]
    _add(buffer, decoder, event)
    assert not buffer.full


def test_so_many_numbers_are_enough_to_count() -> None:
    buffer = EventBuffer()
    for first in range(0, 4000, 500):
        assert not buffer.full
        buffer.add([], _batch(first, 511), body_bytes=1, now=0.0)
    assert buffer.full
    assert sum(batch.rows for batch in buffer.take()) == 8 * 511
    assert not buffer.full


def test_few_events_wait_as_they_are_and_many_as_columns() -> None:
    decoder, buffer = _decoder(FRAUD), EventBuffer()
    for i in range(300):
        _add(buffer, decoder, {"features": {"amount": i}})
        assert len(buffer._events) == (i + 1) % 256
    [batch] = buffer.take()
    assert batch.numeric.tolist() == [[*range(300)]]


@pytest.mark.parametrize("coded", [False, True])
def test_what_is_learned_from_does_not_wait_and_keeps_its_order(*, coded: bool) -> None:
    decoder, buffer = _decoder(learning_schema("fraud")), EventBuffer()
    decoder.decode(b'{"features": {"amount": 0, "merchant": "a"}}', forms.JSON)  # by which it knows the features
    for i in range(3):
        _add(buffer, decoder, {"features": {"amount": i, "merchant": "a"}})
    assert not buffer.full
    merchants = {"values": ["a"], "codes": np.zeros(100, "<i4").tobytes()} if coded else ["a"] * 100
    amounts = np.arange(3.0, 103.0).tobytes()
    many = msgspec.msgpack.encode({"columns": {"features": {"amount": amounts, "merchant": merchants}}})
    buffer.add([], decoder.decode(many, forms.MSGPACK).batch, body_bytes=len(many), now=0.0)
    assert buffer.full
    learned = [batch.numeric[0].tolist() for batch in buffer.take()]
    assert learned == ([[*range(3)], [*range(3, 103)]] if coded else [[*range(103)]])


bodies = st.lists(
    st.tuples(st.sampled_from(["fraud", "churn"]), st.sampled_from(["one", "array", "columns"]), st.integers(1, 6)),
    max_size=12,
)


@given(bodies, st.integers(1, 20), st.integers(1, 5))
def test_nothing_is_lost_nor_counted_twice_whatever_waits(
    wanted: list[tuple[str, str, int]], most_values: int, most_events: int
) -> None:
    decoder, buffer = _decoder(FRAUD, CHURN), EventBuffer()
    put: dict[str, list[float]] = {"fraud": [], "churn": []}
    taken: dict[str, list[float]] = {"fraud": [], "churn": []}
    number = 0.0

    def take() -> None:
        for batch in buffer.take():
            taken[batch.schema.model] += batch.numeric[0].tolist()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(buffer_module, "_MOST_VALUES", most_values)
        patched.setattr(buffer_module, "MANY_EVENTS", most_events)
        for model, way, rows in wanted:
            name = "amount" if model == "fraud" else "days"
            values = [number + i for i in range(1 if way == "one" else rows)]
            number += len(values)
            put[model] += values
            body: Any = {"columns": {"features": {name: values}}, "model": model}
            if way != "columns":
                body = [{"features": {name: value}, "model": model} for value in values]
            _add(buffer, decoder, body)
            if buffer.full:
                take()
        take()
    assert {model: sorted(values) for model, values in taken.items()} == put
