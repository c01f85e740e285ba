import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sidecar.waiting as waiting_module
from sidecar.bins import Coded
from sidecar.decode import Decoder
from sidecar.event import PREDICTION, Batch, Form, Identified, Key, Schema
from sidecar.schema import learning_schema
from sidecar.waiting import Waiting

AMOUNT, MERCHANT = Key("input", "amount"), Key("input", "merchant")
FRAUD = Schema("fraud", numeric=(AMOUNT,), categorical=(MERCHANT, PREDICTION), ids=True)
CHURN = Schema("churn", numeric=(Key("input", "days"),))


def _decoder(*schemas: Schema) -> Decoder:
    return Decoder(schemas, events_per_body=10_000, string_length=20, features=5)


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


def test_batches_of_a_schema_become_one() -> None:
    waiting = Waiting()
    assert not waiting
    waiting.add([], _batch(0, 3))
    waiting.add([], _batch(3, 2))
    assert waiting
    assert not waiting.full
    [batch] = waiting.take()
    assert not waiting
    assert (batch.events, batch.errors, batch.rows, batch.unknown) == (7, 2, 5, 4)
    assert batch.numeric.tolist() == [[0, 1, 2, 3, 4]]
    assert batch.latency_seconds.tolist() == pytest.approx([0, 0.001, 0.002, 0.003, 0.004])
    assert batch.categorical == [["m0", "m1", "m2", "m3", "m4"], [None] * 5]
    assert batch.identified == Identified([0, 3], ["x", "x"], [0.5, 0.5])
    assert waiting.take() == []


def test_columns_with_codes_stay_apart_because_each_has_codes_of_its_own() -> None:
    waiting = Waiting()
    coded = [_batch(0, 2, coded=True), _batch(4, 2, coded=True)]
    for batch in (coded[0], _batch(2, 2), coded[1], _batch(6, 2)):
        waiting.add([], batch)
    first, second, merged = waiting.take()
    assert first is coded[0]
    assert second is coded[1]
    assert merged.numeric.tolist() == [[2, 3, 6, 7]]


def test_so_many_numbers_are_enough_to_count() -> None:
    waiting = Waiting()
    for first in range(0, 4000, 500):
        assert not waiting.full
        waiting.add([], _batch(first, 511))
    assert waiting.full
    assert sum(batch.rows for batch in waiting.take()) == 8 * 511
    assert not waiting.full


def test_few_events_wait_as_they_are_and_many_as_columns() -> None:
    decoder, waiting = _decoder(FRAUD), Waiting()
    for i in range(300):
        waiting.add(decoder.decode(json.dumps({"features": {"amount": i}}).encode(), Form.JSON).events, None)
        assert len(waiting._events) == (i + 1) % 256
    [batch] = waiting.take()
    assert batch.numeric.tolist() == [[*range(300)]]


def test_what_is_learned_from_does_not_wait_and_keeps_its_order() -> None:
    decoder, waiting = _decoder(learning_schema("fraud")), Waiting()
    decoder.decode(b'{"features": {"amount": 0}}', Form.JSON)  # by which it knows the feature
    for i in range(3):
        waiting.add(decoder.decode(json.dumps({"features": {"amount": i}}).encode(), Form.JSON).events, None)
    assert not waiting.full
    many = decoder.decode(json.dumps({"columns": {"features": {"amount": [3, 4]}}}).encode(), Form.JSON)
    waiting.add([], many.batch)
    assert waiting.full
    assert [batch.numeric[0].tolist() for batch in waiting.take()] == [[0, 1, 2, 3, 4]]


bodies = st.lists(
    st.tuples(st.sampled_from(["fraud", "churn"]), st.sampled_from(["one", "array", "columns"]), st.integers(1, 6)),
    max_size=12,
)


@given(bodies, st.integers(1, 20), st.integers(1, 5))
def test_nothing_is_lost_nor_counted_twice_whatever_waits(
    wanted: list[tuple[str, str, int]], most_values: int, most_events: int
) -> None:
    decoder, waiting = _decoder(FRAUD, CHURN), Waiting()
    put: dict[str, list[float]] = {"fraud": [], "churn": []}
    taken: dict[str, list[float]] = {"fraud": [], "churn": []}
    number = 0.0

    def take() -> None:
        for batch in waiting.take():
            taken[batch.schema.model] += batch.numeric[0].tolist()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(waiting_module, "_MOST_VALUES", most_values)
        patched.setattr(waiting_module, "_MOST_EVENTS", most_events)
        for model, way, rows in wanted:
            name = "amount" if model == "fraud" else "days"
            values = [number + i for i in range(1 if way == "one" else rows)]
            number += len(values)
            put[model] += values
            body: Any = {"columns": {"features": {name: values}}, "model": model}
            if way != "columns":
                body = [{"features": {name: value}, "model": model} for value in values]
            decoded = decoder.decode(json.dumps(body).encode(), Form.JSON)
            waiting.add(decoded.events, decoded.batch)
            if waiting.full:
                take()
        take()
    assert {model: sorted(values) for model, values in taken.items()} == put
