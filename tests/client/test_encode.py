import json
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from sidecar.client.encode import Encode, Unfit, bodies, plain_value, standard_encode
from sidecar.client.event import Event

ENCODERS: list[Encode] = [standard_encode, msgspec.json.encode]


class Colour(StrEnum):
    RED = "red"


class Level(float, Enum):
    HIGH = 2.5


def event(features: dict[Any, Any] | None, *, error: bool = False, latency: float | None = None) -> Event:
    return (features, None, None, latency, error)


@pytest.fixture(params=ENCODERS, ids=["json", "msgspec"])
def encode(request: pytest.FixtureRequest) -> Encode:
    result: Encode = request.param
    return result


def test_events_become_columns_with_null_where_one_has_no_value(encode: Encode) -> None:
    events = [event({"a": 1.5, "b": "x"}), event({"a": float("nan"), "c": True}, latency=2.0)]
    [body], unfit = bodies(events, "fraud", encode)
    assert body.content.startswith(b'{"columns":')
    assert json.loads(body.content) == {
        "columns": {
            "features": {"a": [1.5, None], "b": ["x", None], "c": [None, True]},
            "latency_ms": [None, 2.0],
        },
        "model": "fraud",
    }
    assert (body.media_type, unfit) == ("application/json", 0)


def test_errors_without_features_become_lines_of_their_own(encode: Encode) -> None:
    events = [event({"a": 1}), event(None, error=True, latency=3.0), event(None, error=True, latency=float("inf"))]
    [columns, lines], _ = bodies(events, None, encode)
    assert json.loads(columns.content) == {"columns": {"features": {"a": [1]}}}
    assert [json.loads(line) for line in lines.content.split(b"\n")] == [
        {"error": True, "latency_ms": 3.0},
        {"error": True, "latency_ms": None},
    ]
    assert lines.media_type == "application/x-ndjson"


def test_events_with_no_values_at_all_are_still_as_many(encode: Encode) -> None:
    [body], _ = bodies([event({}), event({})], None, encode)
    assert json.loads(body.content) == {"columns": {"features": {}, "error": [False, False]}}


def test_an_unfit_event_is_left_out_alone(encode: Encode) -> None:
    events = [event({"a": 1}), event({"a": object()}), event({"a": "\ud800"}), event({2: 1}), event({"a": 2})]
    [body], unfit = bodies(events, None, encode)
    assert unfit == 3
    assert json.loads(body.content) == {"columns": {"features": {"a": [1, 2]}}}
    assert bodies([event({"a": ()})], None, encode) == ([], 1)


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
