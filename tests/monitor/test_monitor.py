import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sidecar.base.duration import Duration
from sidecar.config import Config, DriftConfig, LabelsConfig, LatencyConfig, Learn, Limits, ModelConfig, Slo, Thresholds
from sidecar.events import forms
from sidecar.events.batch import PREDICTION, Key
from sidecar.events.forms import Form
from sidecar.events.refusals import TooMany, Unreadable
from sidecar.monitor.model import Model
from sidecar.monitor.monitor import Monitor
from sidecar.reference import Profile, build
from sidecar.reference.profile import NumericProfile

START = datetime(2026, 1, 1, tzinfo=UTC)
RNG = np.random.default_rng(5)
PROFILE = build(
    {"amount": RNG.normal(100, 20, 1000), "merchant": RNG.choice(["visa", "amex"], 1000)}, model="fraud", created=START
)
OTHER = build({"amount": RNG.normal(0, 1, 1000), "merchant": RNG.choice(["x", "y"], 1000)}, created=START)
FRAUD = ModelConfig(name="fraud", reference="fraud.json", windows=(Duration("5m"), Duration("1h")))
LEARNING = ModelConfig(name="fraud", learn=Learn(events=100))


def _monitor(*models: tuple[ModelConfig, Profile | None], events_per_body: int = 1000) -> Monitor:
    models = models or ((FRAUD, PROFILE),)
    config = Config(models=tuple(model for model, _ in models), limits=Limits(events_per_body=events_per_body))
    monitor = Monitor(config, {model.name: profile for model, profile in models}, now=0.0, start=START)
    monitor.open_transport("http")
    return monitor


def _submit(monitor: Monitor, events: Any, *, now: float = 0.0) -> int:
    return monitor.submit(json.dumps(events).encode(), forms.JSON, transport="http", now=now).accepted


def _event(amount: float | None = 100.0, merchant: str | None = "visa", **rest: Any) -> dict[str, Any]:
    return {"features": {"amount": amount, "merchant": merchant}, **rest}


def _observations(model: Model) -> list[int]:
    assert model.comparison is not None
    counts: list[int] = model.comparison.observations().tolist()
    return counts


def _state(monitor: Monitor, *, now: float) -> dict[str, Any]:
    """Everything that readers see."""
    monitor.flush(now=now)
    state: dict[str, Any] = {"events": monitor.events, "rejected": monitor.rejected, "dropped": monitor.dropped}
    for name, model in monitor.models.items():
        state[name] = (
            *(model.unknown, model.traffic.events, model.traffic.errors, model.traffic.histogram().tolist()),
            *(round(model.traffic.latency_sum, 9), model.learner.rows if model.learner else None),
        )
        if model.comparison is not None:
            counts = model.comparison.counts(now=now).tolist()
            fingerprint = model.comparison.profile.fingerprint
            state[name] += (fingerprint, counts, _observations(model), model.comparison.out_of_range.tolist())
    return state


def test_every_counter_of_a_transport_begins_at_zero() -> None:
    monitor = _monitor()
    monitor.open_transport("unix")
    assert monitor.events == {"http": 0, "unix": 0}
    assert {transport for transport, _ in monitor.rejected} == {"http", "unix"}
    assert set(monitor.rejected.values()) | set(monitor.dropped.values()) == {0}


def test_counters_add_up() -> None:
    monitor = _monitor(events_per_body=10)
    _submit(monitor, [_event(), _event(latency_ms=-1), _event(model="x"), _event(zzz=1), {"features": {"zzz": 1}}])
    with pytest.raises(Unreadable, match="truncated"):
        monitor.submit(b"{", forms.JSON, transport="http", now=0.0)
    with pytest.raises(TooMany, match="more than 10 events"):
        _submit(monitor, [_event()] * 11)
    monitor.drop("http", "overload", 7)
    monitor.flush(now=0.0)
    assert monitor.events["http"] == 3
    told = {reason: count for (_, reason), count in monitor.rejected.items() if count}
    assert told == {"invalid": 1, "unknown_model": 1, "unreadable": 1, "too_many_events": 1}
    assert monitor.dropped["http", "overload"] == 7
    model = monitor.models["fraud"]
    assert (model.traffic.events, model.unknown) == (3, 1)
    assert sum(_observations(model)) == 3 * 2


def test_events_are_counted_once_whether_or_not_anyone_reads() -> None:
    monitor = _monitor()
    for _ in range(600):
        _submit(monitor, _event())
    for _ in range(3):
        monitor.flush(now=0.0)
    assert monitor.models["fraud"].traffic.events == 600
    assert sum(_observations(monitor.models["fraud"])) == 1200


def test_error_events_without_features_are_in_no_bin() -> None:
    monitor = _monitor()
    _submit(monitor, [{"error": True, "latency_ms": 5}] * 3 + [_event(error=True)])
    monitor.flush(now=0.0)
    model = monitor.models["fraud"]
    assert (model.traffic.events, model.traffic.errors, model.traffic.histogram()[-1]) == (4, 4, 3)
    assert sum(_observations(model)) == 2


def test_time_of_day_follows_the_clock() -> None:
    monitor = Monitor(Config(), {"default": None}, now=1000.0, start=START)
    assert monitor.wall(1060.0) == START + timedelta(seconds=60)


events = st.builds(
    _event,
    st.sampled_from([None, 50.0, 100.0, 1e6, "bad"]),
    st.sampled_from([None, "visa", "new", True]),
    latency_ms=st.sampled_from([None, 0, 20.5, -1]),
    error=st.booleans(),
    prediction=st.sampled_from([None, "yes", "no"]),
)


@given(st.lists(events, min_size=1, max_size=150), st.lists(st.integers(1, 60), max_size=6), st.booleans())
def test_a_body_split_gives_the_same_state(bodies: list[Any], sizes: list[int], learning: bool) -> None:
    for event in bodies[:1]:
        event["features"] = {"amount": 1.0, "merchant": "visa"}
        event["latency_ms"] = None
    models = ((LEARNING, None),) if learning else ((FRAUD, PROFILE),)
    whole, parts = _monitor(*models), _monitor(*models)
    _submit(whole, bodies, now=1.0)
    while bodies:
        size = sizes.pop() if sizes else 40
        _submit(parts, bodies[:size], now=1.0)
        bodies = bodies[size:]
    assert _state(whole, now=2.0) == _state(parts, now=2.0)


def test_what_waits_is_counted_at_the_time_when_the_last_of_it_came() -> None:
    monitor = _monitor((FRAUD, PROFILE))
    _submit(monitor, [_event(1.0)] * 3, now=1.0)
    _submit(monitor, [_event(1.0)] * 2, now=1.4)
    _submit(monitor, [_event(1.0)], now=60.0)  # those before have waited for too long, and are counted first
    monitor.flush(now=10_000.0)
    model = monitor.models["fraud"]
    assert model.traffic.events == 6
    [reading, *_] = model.traffic.readings([], now=60.0 + 299.0)
    assert reading.events == 1


@pytest.mark.parametrize("coded", [False, True])
def test_of_an_id_the_first_prediction_counts_whatever_bodies_they_come_in(*, coded: bool) -> None:
    monitor = _monitor((replace(FRAUD, labels=LabelsConfig()), PROFILE))
    _submit(monitor, _event(id=1, prediction="right"))
    merchant: Any = {"values": ["visa"], "codes": np.zeros(1, "<i4").tobytes()} if coded else ["visa"]
    columns = {"features": {"amount": [1.0], "merchant": merchant}, "prediction": ["wrong"]}
    for id_ in (1, 2):
        body = msgspec.msgpack.encode({"columns": columns | {"id": [id_]}})
        monitor.submit(body, forms.MSGPACK, transport="http", now=0.1)
    _submit(monitor, _event(id=2, prediction="right"), now=0.2)
    monitor.submit_labels(
        b'[{"id": 1, "label": "right"}, {"id": 2, "label": "wrong"}]', forms.JSON, transport="http", now=0.2
    )
    labels = monitor.models["fraud"].labels
    assert labels is not None
    assert (labels.kept, labels.repeated) == (2, 2)
    tally = labels.ever()
    assert (int(tally.labels), int(tally.correct)) == (2, 2)


@pytest.mark.parametrize("form", [forms.NDJSON, forms.MSGPACK])
def test_a_class_of_0_and_1_may_be_written_as_number_boolean_or_text(form: Form) -> None:
    profile = build({"amount": [1.0, 2.0], "label": [0, 1]}, prediction="label", created=START)
    monitor = _monitor((replace(FRAUD, labels=LabelsConfig(min_labels=1)), profile))
    said = [1, 1.0, True, "1", 0, "0", False]
    if form is forms.NDJSON:
        events = [_event(id=i, prediction=value) for i, value in enumerate(said)]
        body = b"\n".join(map(msgspec.json.encode, events))
    else:
        columns = {"features": {"amount": [1.0] * 7}, "prediction": said, "id": list(range(7))}
        body = msgspec.msgpack.encode({"columns": columns})
    assert monitor.submit(body, form, transport="http", now=0.0).accepted == 7
    monitor.flush(now=1.0)
    model = monitor.models["fraud"]
    assert model.comparison is not None
    assert model.comparison.observations()[-4:].tolist() == [3, 4, 0, 0]
    actual = [True, "1", 1, 1.0, "0", False, 0]
    labels = [{"id": i, "label": label} for i, label in enumerate(actual)]
    assert monitor.submit_labels(msgspec.json.encode(labels), forms.JSON, transport="http", now=1.0).accepted == 7
    assert model.labels is not None
    reading = model.labels.read(now=1.0)
    assert (model.labels.classes, reading.accuracy[0]) == (("1", "0"), 1.0)


# Learning.


def test_learning_ends_at_exactly_the_wanted_event_and_the_rest_counts_live() -> None:
    monitor = _monitor((LEARNING, None))
    _submit(monitor, [_event(float(i)) for i in range(99)])
    monitor.flush(now=0.0)
    model = monitor.models["fraud"]
    assert model.comparison is None
    assert model.learner is not None
    assert model.learner.rows == 99
    _submit(monitor, [_event(float(i)) for i in range(51)], now=60.0)
    monitor.flush(now=60.0)
    assert model.learner is None
    assert model.comparison is not None
    assert model.comparison.profile.rows == 100
    assert model.comparison.profile.source == "learned"
    assert model.comparison.profile.created == START + timedelta(seconds=60)
    assert sum(_observations(model)) == 50 * 2
    assert model.traffic.events == 150


def test_events_are_learned_from_in_the_order_in_which_they_came_whatever_bodies_they_came_in() -> None:
    monitor = _monitor((LEARNING, None))
    _submit(monitor, _event(0.0))
    monitor.flush(now=0.0)  # by which the features are known
    for i in range(1, 50):
        _submit(monitor, _event(float(i)))
    merchants = {"values": ["visa"], "codes": np.zeros(100, "<i4").tobytes()}
    columns = {"features": {"amount": np.arange(50.0, 150.0).tobytes(), "merchant": merchants}}
    monitor.submit(msgspec.msgpack.encode({"columns": columns}), forms.MSGPACK, transport="http", now=0.0)
    comparison = monitor.models["fraud"].comparison
    assert comparison is not None
    amount = comparison.features[0]
    assert isinstance(amount, NumericProfile)
    assert (amount.name, amount.min, amount.max) == ("amount", 0, 99)


def test_what_is_learned_is_what_events_are_decoded_by() -> None:
    monitor = _monitor((LEARNING, None))
    _submit(monitor, [_event(prediction=1.5)] * 100)
    monitor.flush(now=0.0)
    assert _submit(monitor, {"features": {"amount": "x"}}) == 0
    assert _submit(monitor, {"features": {"amount": 1, "new": 2}, "prediction": 2}) == 1
    assert _submit(monitor, {"features": {}, "prediction": "yes"}) == 0
    monitor.flush(now=0.0)
    model = monitor.models["fraud"]
    assert model.unknown == 1
    assert model.comparison is not None
    assert model.comparison.schema.numeric == (Key("input", "amount"), PREDICTION)


def test_events_without_values_delay_learning_and_do_no_harm() -> None:
    monitor = _monitor((LEARNING, None))
    _submit(monitor, [{"features": {}}] * 150 + [{"features": {"a": None}}] * 150)
    _submit(monitor, [{"error": True}] * 300)
    _submit(monitor, [{"features": {"a": None}}] * 300 + [{"features": {"a": 1}}] * 100)
    monitor.flush(now=0.0)
    model = monitor.models["fraud"]
    assert model.comparison is not None
    assert model.comparison.profile.rows == 100
    assert model.traffic.events == 1000


def test_waiting_events_of_a_model_that_learned_meanwhile_are_fitted() -> None:
    monitor = _monitor((LEARNING, None))
    for i in range(255):
        _submit(monitor, {"features": {f"f{i % 7}": i, "kind": "x"}})
    monitor.flush(now=0.0)
    model = monitor.models["fraud"]
    assert model.comparison is not None
    assert sum(_observations(model)) == 155 * len(model.comparison.features)


def test_two_models_learn_apart() -> None:
    churn = ModelConfig(name="churn", learn=Learn(events=200))
    monitor = _monitor((LEARNING, None), (churn, None))
    for _ in range(110):
        _submit(monitor, [_event(model="fraud"), {"features": {"days": 3}, "model": "churn"}])
    monitor.flush(now=0.0)
    assert monitor.models["fraud"].comparison is not None
    learner = monitor.models["churn"].learner
    assert learner is not None
    assert learner.rows == 110


def test_any_names_and_values_can_be_learned_from() -> None:
    monitor = _monitor((LEARNING, None))
    odd: list[dict[str, Any]] = [
        {"": 1},
        {'"': 1},
        {"a\\b": 1},
        {"a\nb": 1},
        {"x" * 2000: 1},
        {"é": "\0other"},
        {"l": []},
    ]
    for _ in range(30):
        for features in odd:
            assert _submit(monitor, {"features": features | {"a": 1}}) == 1
    monitor.flush(now=0.0)
    model = monitor.models["fraud"]
    assert model.comparison is not None
    assert {feature.name for feature in model.comparison.features} == {"é", "a"}


# Another configuration.


def _reconfigured(monitor: Monitor, model: ModelConfig, profile: Profile | None, *, now: float = 0.0) -> Model:
    monitor.reconfigure(Config(models=(model,)), {model.name: profile}, now=now)
    return monitor.models[model.name]


def test_judging_otherwise_keeps_all_counts() -> None:
    monitor = _monitor()
    _submit(monitor, [_event(1000.0, latency_ms=3)] * 300)
    before = _state(monitor, now=0.0)
    drift = DriftConfig(thresholds=Thresholds(moderate=80, significant=81, critical=82, rollback=83))
    model = _reconfigured(monitor, replace(FRAUD, drift=drift), PROFILE)
    assert _state(monitor, now=0.0) == before
    assert model.comparison is not None
    assert model.comparison.read(now=0.0).level[0, 0] == 0
    model = _reconfigured(monitor, FRAUD, PROFILE)
    assert model.comparison is not None
    assert model.comparison.read(now=0.0).level[0, 0] == 3


def test_waiting_events_are_counted_before_the_configuration_changes() -> None:
    monitor = _monitor()
    _submit(monitor, _event())
    assert _reconfigured(monitor, FRAUD, PROFILE).traffic.events == 1


def test_another_reference_begins_bins_anew_and_keeps_traffic() -> None:
    monitor = _monitor()
    _submit(monitor, [_event()] * 10)
    model = _reconfigured(monitor, FRAUD, OTHER)
    assert sum(_observations(model)) == 0
    assert model.traffic.events == 10
    _submit(monitor, _event(merchant="x"))
    monitor.flush(now=0.0)
    assert sum(_observations(model)) == 2


@pytest.mark.parametrize(
    "changed",
    [
        replace(FRAUD, windows=(Duration("5m"),)),
        replace(FRAUD, latency=LatencyConfig(slos=(Slo(target=0.9, seconds=0.123),))),
    ],
)
def test_other_windows_or_buckets_begin_traffic_anew(changed: ModelConfig) -> None:
    monitor = _monitor()
    _submit(monitor, [_event()] * 10)
    model = _reconfigured(monitor, changed, PROFILE)
    assert model.traffic.events == 0
    assert sum(_observations(model)) == (0 if changed.windows != FRAUD.windows else 20)


def test_what_was_learned_is_kept() -> None:
    monitor = _monitor((LEARNING, None))
    _submit(monitor, [_event(float(i)) for i in range(150)])
    monitor.flush(now=0.0)
    before = _state(monitor, now=0.0)
    _reconfigured(monitor, replace(LEARNING, version="2", drift=DriftConfig(alpha=0.01)), None)
    assert _state(monitor, now=0.0) == before


def test_learning_goes_on_through_a_reload() -> None:
    monitor = _monitor((LEARNING, None))
    _submit(monitor, [_event(float(i)) for i in range(60)])
    model = _reconfigured(monitor, replace(LEARNING, version="2"), None)
    assert model.learner is not None
    assert model.learner.rows == 60
    assert _submit(monitor, {"features": {"amount": "now a text"}}) == 0
    _submit(monitor, [_event(float(i), "x") for i in range(40)])
    monitor.flush(now=0.0)
    assert model.comparison is not None
    assert (model.comparison.profile.rows, model.comparison.profile.model_version) == (100, "2")
    assert [feature.missing for feature in model.comparison.features] == [0, 0]


@pytest.mark.parametrize(
    "changed", [replace(LEARNING, learn=Learn(events=200)), replace(LEARNING, learn=Learn(bins=3))]
)
def test_learning_otherwise_begins_learning_anew(changed: ModelConfig) -> None:
    monitor = _monitor((LEARNING, None))
    _submit(monitor, [_event(float(i)) for i in range(150)])
    model = _reconfigured(monitor, changed, None)
    assert model.comparison is None
    assert model.learner is not None
    assert model.learner.rows == 0
    assert _submit(monitor, {"features": {"amount": "now a text"}}) == 1


def test_a_reference_in_the_place_of_learning_is_compared_with_at_once() -> None:
    monitor = _monitor((LEARNING, None))
    _submit(monitor, [_event()] * 60)
    model = _reconfigured(monitor, FRAUD, PROFILE)
    assert model.learner is None
    _submit(monitor, _event())
    monitor.flush(now=0.0)
    assert sum(_observations(model)) == 2


def test_models_come_and_go() -> None:
    monitor = _monitor()
    _submit(monitor, [_event()] * 5)
    churn = ModelConfig(name="churn")
    monitor.reconfigure(Config(models=(FRAUD, churn)), {"fraud": PROFILE, "churn": None}, now=0.0)
    assert monitor.models["fraud"].traffic.events == 5
    assert _submit(monitor, [_event(model="fraud"), {"features": {"days": 1}, "model": "churn"}, _event()]) == 2
    model = _reconfigured(monitor, churn, None)
    assert set(monitor.models) == {"churn"}
    assert model.traffic.events == 1
    assert _submit(monitor, _event(model="fraud")) == 0


def test_statistics_of_live_traffic_are_finite() -> None:
    monitor = _monitor()
    _submit(monitor, [_event(None, None)] * 300)
    monitor.flush(now=0.0)
    comparison = monitor.models["fraud"].comparison
    assert comparison is not None
    reading = comparison.read(now=0.0)
    assert np.isfinite(reading.statistics["psi"]).all()
    assert math.isnan(reading.statistics["ks"][0, 0])
    assert reading.missing[0].tolist() == [300, 300]
