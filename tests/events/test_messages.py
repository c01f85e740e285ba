"""What msgspec says is read in one place: each message that it has for a wrong event, and what is made of it."""

import json
from typing import Any

import msgspec
import pytest

from sidecar.events.messages import is_beyond_doubles, lacks_model, placed, refusal_of
from sidecar.events.schemas import Schemas
from tests.events.support import CHURN, FRAUD

WHEN_MISSING = {"features": "required unless error is true"}


def message(event: Any, *, models: int = 1) -> str:
    """Return what msgspec says of an event, or of a body of columns."""
    text = event if isinstance(event, bytes) else json.dumps(event).encode()
    schemas = Schemas((FRAUD, CHURN)[:models], string_length=5, features=5)
    decoder = schemas.columns_json if b'"columns"' in text else schemas.event
    with pytest.raises(msgspec.ValidationError) as raised:
        decoder.decode(text)
    return str(raised.value)


@pytest.mark.parametrize(
    ("event", "path", "reason"),
    [
        ({"features": {"amount": "x"}}, "$.features.amount", "Expected `float | null`, got `str`"),
        ({"features": {"merchant": "x" * 6}}, "$.features.merchant", "Expected `str` of length <= 5"),
        (
            {"features": {"merchant": [1]}},
            "$.features.merchant",
            "Expected `bool | int | float | str | null`",
        ),
        ({"features": {"foreign": 1}}, "$.features", "Object contains unknown field `foreign`"),
        ({"features": {}, "probability": 1.5}, "$.probability", "Expected `float` <= 1.0"),
        ({"features": {}, "latency_ms": -1}, "$.latency_ms", "Expected `float` >= 0.0"),
        ({"features": {}, "error": "yes"}, "$.error", "Expected `bool`, got `str`"),
        ({"features": 3}, "$.features", "Expected `object | null`, got `int`"),
        ([], "$", "Expected `object`, got `array`"),
    ],
)
def test_a_message_gives_path_and_reason(event: Any, path: str, reason: str) -> None:
    refusal = refusal_of(7, message(event), when_missing=WHEN_MISSING)
    assert (refusal.index, refusal.path, refusal.kind) == (7, path, "invalid")
    assert refusal.reason.startswith(reason)


def test_a_missing_field_is_named_in_the_path() -> None:
    refusal = refusal_of(0, message({"columns": {"latency_ms": []}}), when_missing=WHEN_MISSING)
    assert (refusal.path, refusal.reason) == ("$.columns.features", "required unless error is true")


def test_an_event_without_a_model_is_told_from_others() -> None:
    assert lacks_model(refusal_of(0, message({"features": {}}, models=2), when_missing=WHEN_MISSING))
    assert not lacks_model(refusal_of(0, message({"columns": {"latency_ms": []}}), when_missing={}))
    named = refusal_of(0, message({"model": "x", "features": {}}, models=2), when_missing={})
    assert (named.path, named.reason) == ("$.model", "Invalid value 'x'")


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1" + b"0" * 400])
def test_a_number_that_nothing_can_hold_is_told(number: bytes) -> None:
    assert is_beyond_doubles(message(b'{"features": {"amount": ' + number + b"}}"))


def test_our_own_errors_are_read_as_those_of_msgspec() -> None:
    refusal = refusal_of(3, placed("Expected a finite number", "$.features.a - at `$.b`"), when_missing={})
    assert refusal.reason.startswith("Expected a finite number")
    assert refusal_of(3, placed("too long", "$.x"), when_missing={}).path == "$.x"
