import json
from typing import Any

import pytest

from sidecar.events.batch import PREDICTION, Key
from sidecar.events.wire_types import MOST_IGNORED, event_type
from tests.events.support import AMOUNT, CHURN, EVENTS, FRAUD, JSON, MSGPACK, WAYS, content_of, decoder_of, packed


def test_events_go_to_the_model_they_name() -> None:
    events: list[dict[str, Any]] = [
        {"model": "fraud", "features": {"amount": 1}},
        {"features": {"days": 3}, "prediction": 2.5, "model": "churn"},
        {"model": "fraud", "features": {"amount": 2}},
    ]
    for way in ("array", "lines"):
        content = content_of(decoder_of(FRAUD, CHURN).decode(*WAYS[way](events)))
        assert content["fraud"].columns[AMOUNT] == [1.0, 2.0]
        assert content["churn"].columns == {Key("input", "days"): [3.0], PREDICTION: [2.5]}


def test_columns_go_to_the_model_they_name() -> None:
    document = {"columns": {"features": {"days": [1, 2]}}, "model": "churn"}
    for body, form in ((json.dumps(document).encode(), JSON), (packed(document), MSGPACK)):
        assert content_of(decoder_of(FRAUD, CHURN).decode(body, form))["churn"].events == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"features": {}}', "required, because there are several: fraud, churn"),
        (b'{"features": {}, "model": "x"}', "Invalid value 'x'; there is: fraud, churn"),
        (b'{"columns": {"features": {"amount": [1]}}}', "required, because there are several: fraud, churn"),
        (b'{"columns": {"features": {}}}', "required, because there are several: fraud, churn"),
        (b'{"error": true}', "required, because there are several: fraud, churn"),
    ],
)
def test_of_several_models_one_must_be_named(body: bytes, reason: str) -> None:
    decoded = decoder_of(FRAUD, CHURN).decode(body, JSON)
    assert [(r.path, r.reason, r.kind) for r in decoded.refusals.first] == [("$.model", reason, "unknown_model")]


def test_unknown_features_are_ignored_and_counted_every_time() -> None:
    decoder = decoder_of()
    odd: list[Any] = [None, 1, "x" * 5000, [1], {"a": {}}, True, 1e300]
    events = [{"features": {"amount": 1, "zzz": value, "yyy": value}} for value in odd]
    for way in ("array", "lines", "array"):
        decoded = decoder.decode(*WAYS[way](events))
        assert decoded.refusals.total == 0
        assert content_of(decoded)["fraud"].unknown == 2 * len(odd)
    assert set(decoder.schemas["fraud"].ignored) == {"zzz", "yyy"}
    assert content_of(decoder.decode(*WAYS["array"](EVENTS)))["fraud"].unknown == 0


@pytest.mark.parametrize("column", [[1, 2], [None, "x"], [[1], {}], 5, None, "text", [1], [1, 2, 3], {}])
def test_unknown_columns_are_ignored_and_counted_whatever_they_hold(column: Any) -> None:
    decoder = decoder_of()
    document = {"columns": {"features": {"amount": [1, 2], "zzz": column}}}
    for body, form in ((json.dumps(document).encode(), JSON), (packed(document), MSGPACK)) * 2:
        decoded = decoder.decode(body, form)
        assert (decoded.accepted, decoded.refusals.total) == (2, 0)
        assert content_of(decoded)["fraud"].unknown == 2


@pytest.mark.parametrize(
    "name", ["", 'a"b', "a\\b", "a\nb", "a\0b", "x" * 21, "out of range", "naïve", "a.b", "$", "`"]
)
def test_unknown_features_of_any_name_are_passed_over(name: str) -> None:
    decoder = decoder_of()
    for way in ("array", "lines", "columns", "packed columns", "array"):
        decoded = decoder.decode(*WAYS[way]([{"features": {"amount": 1, name: 2}}]))
        assert (decoded.accepted, decoded.refusals.total) == (1, 0)


@pytest.mark.parametrize("column", [[1, 2], ["a"], 5, None, {}, [[]]])
@pytest.mark.parametrize("amount", [[1, 2], [1, 2, "x"]])
def test_unknown_keys_beside_the_features_are_ignored_in_every_form(column: Any, amount: list[Any]) -> None:
    columns = {"features": {"amount": amount}, "timestamp": column}
    for body, form in ((json.dumps({"columns": columns}).encode(), JSON), (packed({"columns": columns}), MSGPACK)):
        assert decoder_of().decode(body, form).accepted == 2
    assert decoder_of().decode(json.dumps({"features": {}, "timestamp": column}).encode(), JSON).accepted == 1


def test_unknown_columns_alone_are_events_all_the_same() -> None:
    decoder = decoder_of()
    body = b'{"columns": {"features": {"zzz": [1, 2]}}}'
    for _ in range(2):
        content = content_of(decoder.decode(body, JSON))["fraud"]
        assert (content.events, content.unknown, content.columns[AMOUNT]) == (2, 2, [None, None])
        decoder.decode(b'{"features": {"zzz": 1}}', JSON)


def test_unknown_names_are_remembered_up_to_a_limit() -> None:
    decoder = decoder_of()
    for first in range(0, MOST_IGNORED + 300, 300):
        features = {f"z{i}": 1 for i in range(first, first + 300)}
        assert decoder.decode(json.dumps({"features": features}).encode(), JSON).accepted == 1
    assert len(decoder.schemas["fraud"].ignored) == MOST_IGNORED
    decoded = decoder.decode(b'{"features": {"z0": 1, "never seen": 1}}', JSON)
    assert content_of(decoded)["fraud"].unknown == 1


def test_new_names_all_over_a_body_make_the_types_anew_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = decoder_of()
    made = []

    def counted(*args: Any, **options: Any) -> Any:
        made.append(args)
        return event_type(*args, **options)

    monkeypatch.setattr("sidecar.events.schemas.event_type", counted)
    body = json.dumps([{"features": {f"z{i}": 1}} for i in range(20)]).encode()
    assert content_of(decoder.decode(body, JSON))["fraud"].unknown == 20
    assert len(made) == 1


def test_long_unknown_names_take_no_memory() -> None:
    decoder = decoder_of()
    decoder.decode(json.dumps({"features": {"x" * 100_000: 1}}).encode(), JSON)
    assert sum(map(len, decoder.schemas["fraud"].ignored)) <= 20
