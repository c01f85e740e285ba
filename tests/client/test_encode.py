import json
import math
import struct
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_sidecar_client.event import Event
from model_sidecar_client.wire.encode import Body, Unfit, bodies, plain_value

from sidecar.config import Config, Learn, ModelConfig
from sidecar.events import forms
from sidecar.monitor.monitor import Monitor
from tests.plugins.serving import fraud_profile


class Colour(StrEnum):
    RED = "red"


class Level(float, Enum):
    HIGH = 2.5


def event(features: dict[Any, Any] | None, *, error: bool = False, latency: float | None = None) -> Event:
    return (features, None, None, latency, error, None)


def columns(body: Body) -> Any:
    """Return what a body of columns says, with buffers as the numbers in them."""
    assert body.media_type == "application/x-msgpack"
    document = msgspec.msgpack.decode(body.content)
    of_features, others = document["columns"].pop("features"), document["columns"]
    for some in (of_features, others):
        some |= {name: _numbers(values) for name, values in some.items() if isinstance(values, bytes)}
    return document | {"columns": {"features": of_features} | others}


def _numbers(buffer: bytes) -> list[float | None]:
    return [None if math.isnan(x) else x for (x,) in struct.iter_unpack("<d", buffer)]


def test_events_become_columns_with_null_where_one_has_no_value() -> None:
    events = [event({"a": 1.5, "b": "x"}), event({"a": float("nan"), "c": True}, latency=2.0)]
    [body], unfit = bodies(events, "fraud")
    assert columns(body) == {
        "columns": {
            "features": {"a": [1.5, None], "b": ["x", None], "c": [None, True]},
            "latency_ms": [None, 2.0],
        },
        "model": "fraud",
    }
    assert unfit == 0


@pytest.mark.parametrize(
    ("values", "buffer"),
    [
        ([1.5, None, float("inf")], True),
        ([1, 2.5, None], True),
        ([-(2**53) + 1, 2**53 - 1], True),
        ([2**53 + 1, 0], False),
        ([2**63, -(2**63), 2**64 + 1, None], False),
        ([True, 1], False),
        (["x", "x", None, "é" * 40, "y" * 70_000], False),
        ([True, False, True], False),
        ([None, None], False),
        ([1.5, "x", float("nan"), True], False),
        (list(range(70_000)), True),
        ([str(i) for i in range(70_000)], False),
    ],
)
def test_numbers_that_a_float64_holds_are_a_buffer_and_all_else_is_a_list(values: list[Any], buffer: bool) -> None:
    [body], _ = bodies([event({"a": value}) for value in values], None)
    assert isinstance(msgspec.msgpack.decode(body.content)["columns"]["features"]["a"], bytes) == buffer
    sent = columns(body)["columns"]["features"]["a"]
    expected = [None if isinstance(value, float) and not math.isfinite(value) else value for value in values]
    assert sent == [float(value) if value == 2**64 + 1 else value for value in expected]
    assert [type(x) is bool for x in sent] == [type(x) is bool for x in values]


def test_errors_without_features_become_lines_of_their_own() -> None:
    events = [event({"a": 1}), event(None, error=True, latency=3.0), event(None, error=True, latency=float("inf"))]
    [body, lines], _ = bodies(events, None)
    assert columns(body) == {"columns": {"features": {"a": [1]}}}
    assert [json.loads(line) for line in lines.content.split(b"\n")] == [
        {"error": True, "latency_ms": 3.0},
        {"error": True, "latency_ms": None},
    ]
    assert lines.media_type == "application/x-ndjson"


def test_events_with_no_values_at_all_are_still_as_many() -> None:
    [body], _ = bodies([event({}), event({})], None)
    assert columns(body) == {"columns": {"features": {}, "error": [False, False]}}


def test_an_unfit_event_is_left_out_alone() -> None:
    odd: list[dict[Any, Any]] = [{"a": object()}, {"a": "\ud800"}, {2: 1}, {"\ud800": 1}, {"a": 10**400}]
    [body], unfit = bodies([event({"a": 1}), *map(event, odd), event({"a": 2})], None)
    assert unfit == len(odd)
    assert columns(body) == {"columns": {"features": {"a": [1, 2]}}}
    assert bodies([event({"a": ()})], None) == ([], 1)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array(3.0), 3.0),
        (Decimal("1.25"), 1.25),
        (pd.NA, None),
        (pd.NaT, None),
        (Colour.RED, "red"),
        (Level.HIGH, 2.5),
    ],
)
def test_scalars_of_other_libraries_are_taken_for_what_they_mean(value: Any, plain: Any) -> None:
    found = plain_value(value)
    assert found == plain
    assert type(found) is type(plain)


@pytest.mark.parametrize("value", [object(), [1], {}, b"x", 1j])
def test_what_is_no_scalar_is_unfit(value: Any) -> None:
    with pytest.raises(Unfit):
        plain_value(value)


values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(["visa", "amex", "", "true", "1"])
)
logged = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(["amount", "merchant", "other", "ünlisted"]), values),
        values,
        st.none() | st.floats(0, 1) | st.sampled_from([2.0, 1, 0, float("nan")]),
        st.none() | st.floats(0, 1e6) | st.sampled_from([-1.0, 3, float("inf")]),
        st.booleans(),
        st.none() | st.sampled_from(["x", 7, 2.5]),
    ),
    min_size=1,
    max_size=12,
)


def counted(sent: list[tuple[bytes, str]], *, learn: int | None) -> dict[str, Any]:
    """Return everything that a sidecar knows after these bodies."""
    profile = fraud_profile() if learn is None else None
    model = ModelConfig(name="fraud", learn=Learn(events=learn or 100))
    start = datetime(2026, 11, 2, tzinfo=UTC)
    monitor = Monitor(Config(models=(model,)), {"fraud": profile}, now=0.0, start=start)
    monitor.open_transport("http")
    for content, media_type in sent:
        monitor.submit(content, forms.of_content_type(media_type), transport="http", now=1.0)
    monitor.flush(now=1.0)
    of = monitor.models["fraud"]
    state: dict[str, Any] = {
        "counters": (monitor.events, monitor.rejected, of.unknown, of.traffic.events, of.traffic.errors),
        "latency": (of.traffic.histogram().tolist(), pytest.approx(of.traffic.latency_sum)),
    }
    if of.learner is not None:
        state["learned"] = of.learner.rows
    if of.comparison is not None:
        state["reference"] = of.comparison.profile.fingerprint
        state["bins"] = of.comparison.observations().tolist()
        state["outside"] = of.comparison.out_of_range.tolist()
    return state


def as_json(events: list[Event]) -> bytes:
    """Write columns as the standard library has them, one value after the other."""

    def column(values: list[Any]) -> list[Any]:
        return [None if isinstance(x, float) and not math.isfinite(x) else x for x in values]

    names = dict.fromkeys(name for features, *_ in events for name in features or ())
    features = {name: column([(event[0] or {}).get(name) for event in events]) for name in names}
    others = ("prediction", "probability", "latency_ms")
    beside = {name: column([event[i] for event in events]) for i, name in enumerate(others, 1)}
    given = {name: values for name, values in beside.items() if any(x is not None for x in values)}
    document = {"columns": {"features": features, **given, "error": [event[4] for event in events]}, "model": "fraud"}
    return json.dumps(document).encode()


@pytest.mark.parametrize("learn", [None, 3, 100])
@given(logged)
def test_the_sidecar_counts_the_same_as_from_json(learn: int | None, events: list[Event]) -> None:
    made, unfit = bodies(events, "fraud")
    assert unfit == 0
    packed = counted([(body.content, body.media_type) for body in made], learn=learn)
    assert packed == counted([(as_json(events), "application/json")], learn=learn)
