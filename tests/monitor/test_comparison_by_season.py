"""Nights are compared with nights: live counts against a reference by hour of the day."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from sidecar.base.cooperative import at_once
from sidecar.base.duration import Duration
from sidecar.config import Config, DriftConfig, ModelConfig
from sidecar.events import forms
from sidecar.events.batch import Batch
from sidecar.exposition import model_metrics
from sidecar.monitor.comparison import Comparison
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import LoadState
from sidecar.reference import Profile, build
from sidecar.reference.profile import season_counts
from sidecar.reports.collector import Collector
from sidecar.reports.drift_report import reporting_drift
from sidecar.statistics import drift
from sidecar.statistics.buffers import StateError
from sidecar.statistics.levels import LEVELS
from sidecar.statistics.season import Season
from tests import oracle
from tests.seasons import by_season

DAY = Season(cycle="hour-of-day", time_zone="Europe/Berlin")
MIDNIGHT = datetime(2026, 11, 22, 23, tzinfo=UTC)  # in Berlin
WINDOWS = (Duration("1h"), Duration("24h"))
RNG = np.random.default_rng(12)


def _traffic(hour: int, rows: int) -> dict[str, Any]:
    """Small amounts by card at night, large ones by other means at noon."""
    share = 0.9 - 0.8 * np.sin(np.pi * hour / 24)
    return {
        "amount": RNG.normal(50 + 20 * abs(hour - 12), 10, rows),
        "means": RNG.choice(["card", "cash"], rows, p=[share, 1 - share]),
    }


def _profile() -> Profile:
    """A hundred rows in the first hour, some more in each that follows, but none in the last."""
    sizes = [100 + 10 * hour for hour in range(23)]
    hours = [_traffic(hour, size) for hour, size in enumerate(sizes)]
    columns = {name: np.concatenate([hour[name] for hour in hours]) for name in ("amount", "means")}
    built = build(columns, model="shop", created=datetime(2026, 1, 1, tzinfo=UTC))
    profile = replace(built, features=tuple(replace(f, design_effect=1.0) for f in built.features))
    return by_season(profile, columns, np.repeat(np.arange(23), sizes), DAY)


PROFILE = _profile()
PLAIN = replace(
    PROFILE,
    season=None,
    season_rows=(),
    features=tuple(replace(f, season_counts=b"") for f in PROFILE.features),
)


def _comparison(profile: Profile = PROFILE) -> Comparison:
    return Comparison("shop", profile, DriftConfig(), WINDOWS, now=0.0)


def _observe(comparison: Comparison, hour: int, columns: dict[str, Any]) -> None:
    rows = len(columns["amount"])
    batch = Batch(
        comparison.schema, rows, 0, np.empty(0), rows, np.array([columns["amount"]]), [columns["means"].tolist()], 0
    )
    comparison.observe(batch, now=3600.0 * hour, wall=MIDNIGHT + timedelta(hours=hour))


def _levels(comparison: Comparison, *, hour: int, window: int = 0) -> set[str]:
    return {LEVELS[level] for level in comparison.read(now=3600.0 * hour).level[window]}


def test_a_night_like_the_nights_of_the_reference_is_no_drift_and_a_noon_at_night_is() -> None:
    usual, plain, odd = _comparison(), _comparison(PLAIN), _comparison()
    night, noon = _traffic(1, 1000), _traffic(12, 1000)
    _observe(usual, 1, night)
    _observe(plain, 1, night)
    _observe(odd, 1, noon)
    assert _levels(usual, hour=1) == {"none"}
    assert _levels(plain, hour=1) == {"critical"}
    assert _levels(odd, hour=1) == {"critical"}


def test_a_day_of_usual_hours_is_no_drift_however_many_events_each_has() -> None:
    comparison = _comparison()
    for hour in range(23):
        _observe(comparison, hour, _traffic(hour, 50 if hour < 20 else 1000))
    assert _levels(comparison, hour=22, window=1) == {"none"}


def test_statistics_are_those_against_the_mixture_of_the_hours() -> None:
    comparison = _comparison()
    _observe(comparison, 3, _traffic(3, 400))
    _observe(comparison, 9, _traffic(14, 250))
    reading = comparison.read(now=3600.0 * 9)
    for i, feature in enumerate(comparison.features):
        counts = np.array(feature.bin_counts())
        r = oracle.reference_shares(counts)
        by_slot = season_counts(feature, DAY)
        hours = [oracle.live_shares(by_slot[h], r) for h in (3, 9)]
        expected = (400 * hours[0] + 250 * hours[1]) / 650
        live = oracle.live_shares(reading.counts[1][_place(comparison, i)], expected)
        assert reading.statistics["psi"][1, i] == pytest.approx(oracle.psi(live, expected), rel=1e-12)
        assert reading.statistics["kl"][1, i] == pytest.approx(oracle.kl(live, expected), rel=1e-12)
        assert reading.statistics["js"][1, i] == pytest.approx(oracle.js(live, expected), rel=1e-12)
        one_by_rows = (400 / 650) ** 2 / by_slot[3].sum() + (250 / 650) ** 2 / by_slot[9].sum()
        factor = drift.significance_factor(counts.size, alpha=0.001, design_effect=feature.design_effect)
        assert reading.statistics["threshold"][1, i] == pytest.approx(factor * (1 / 650 + one_by_rows), rel=1e-12)
    gap = np.abs(np.cumsum(reading.counts[1][:12])[:-1] / 650 - np.cumsum(reading.reference[1][:12])[:-1])
    assert reading.statistics["ks"][1, 0] == pytest.approx(
        gap.max(), abs=1e-3
    )  # the missing bin has a share, if a small one


def _place(comparison: Comparison, feature: int) -> slice:
    start = comparison.starts[feature]
    return slice(start, start + comparison.bins[feature].size)


def test_expected_events_rise_by_the_shares_of_the_hour() -> None:
    comparison = _comparison()
    assert at_once(comparison.expecting_observations()).sum() == 0
    _observe(comparison, 1, _traffic(1, 30))
    before = at_once(comparison.expecting_observations())
    _observe(comparison, 12, _traffic(1, 10))
    assert comparison.seasonal is not None
    np.testing.assert_allclose(before, 30 * comparison.seasonal.shares[1], rtol=1e-12)
    np.testing.assert_allclose(
        at_once(comparison.expecting_observations()) - before, 10 * comparison.seasonal.shares[12], rtol=1e-9
    )
    assert drift.per_feature(at_once(comparison.expecting_observations()), comparison.starts) == pytest.approx([40, 40])
    assert comparison.observations().sum() == 80


def test_expected_observations_are_of_the_events_that_had_come_when_they_were_asked_for() -> None:
    comparison = _comparison()
    _observe(comparison, 1, _traffic(1, 300))
    expected = at_once(comparison.expecting_observations())
    steps = comparison.expecting_observations()
    _observe(comparison, 1, _traffic(1, 200))
    assert at_once(steps).tolist() == expected.tolist()
    assert at_once(comparison.expecting_observations()).sum() > expected.sum()


def test_it_goes_on_from_its_state_and_from_no_other() -> None:
    comparison, other = _comparison(), _comparison()
    _observe(comparison, 1, _traffic(1, 300))
    other.restore(comparison.state())
    for each in (comparison, other):
        _observe(each, 2, {"amount": np.full(200, 50.0), "means": np.full(200, "cash")})
    ours, theirs = comparison.read(now=7200.0), other.read(now=7200.0)
    for field in dataclasses.fields(ours):
        np.testing.assert_equal(getattr(ours, field.name), getattr(theirs, field.name))
    assert at_once(comparison.expecting_observations()).tolist() == at_once(other.expecting_observations()).tolist()
    with pytest.raises(StateError, match="an array has 3600 bytes, not those of shape"):
        other.restore(_comparison(PLAIN).state())
    with pytest.raises(StateError, match="an array has 9360 bytes, not those of shape"):
        _comparison(PLAIN).restore(comparison.state())


def _monitor() -> Monitor:
    config = Config(models=(ModelConfig(name="shop", reference="shop.json", windows=WINDOWS),))
    monitor = Monitor(config, {"shop": PROFILE}, now=0.0, start=MIDNIGHT + timedelta(minutes=59))
    monitor.open_transport("http")
    return monitor


def _submit(monitor: Monitor, *, hour: int, now: float) -> None:
    traffic = {name: values.tolist() for name, values in _traffic(hour, 300).items()}
    body = json.dumps({"columns": {"features": traffic}}).encode()
    assert monitor.submit(body, forms.JSON, transport="http", now=now).accepted == 300


def test_the_hour_is_that_in_which_events_come() -> None:
    monitor = _monitor()
    _submit(monitor, hour=0, now=0.0)
    _submit(monitor, hour=1, now=60.0)
    assert {f["level"] for f in _drift(monitor)["features"]} == {"none"}
    _submit(monitor, hour=0, now=3659.0)
    _submit(monitor, hour=12, now=3660.0)
    families = _families(Collector(monitor, LoadState()), now=3660.0)
    expected = families[model_metrics.BIN_EXPECTED_OBSERVATIONS.name]
    shares = Comparison("shop", PROFILE, DriftConfig(), WINDOWS, now=0.0)
    assert shares.seasonal is not None
    by_hand = (shares.seasonal.shares[[0, 1, 1, 2]] * 300).sum(axis=0)
    assert list(expected.values()) == pytest.approx(by_hand.tolist(), rel=1e-12)
    assert list(expected) == list(families[model_metrics.BIN_OBSERVATIONS.name])
    assert families[model_metrics.REFERENCE_SEASON_SAMPLES.name] == {("shop", PROFILE.fingerprint): 120}


def _families(collector: Collector, *, now: float) -> dict[str, dict[tuple[str, ...], float]]:
    text, _ = collector.expose("text/plain", now=now)
    samples = [s for family in text_string_to_metric_families(text.decode()) for s in family.samples]
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for sample in samples:
        found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_references_without_season_export_nothing_of_it() -> None:
    config = Config(models=(ModelConfig(name="shop", reference="shop.json", windows=WINDOWS),))
    monitor = Monitor(config, {"shop": PLAIN}, now=0.0, start=MIDNIGHT)
    assert (
        not {model_metrics.BIN_EXPECTED_OBSERVATIONS.name, model_metrics.REFERENCE_SEASON_SAMPLES.name}
        & _families(Collector(monitor, LoadState()), now=0.0).keys()
    )


def test_a_reload_to_a_reference_without_season_and_back_begins_anew_each_time() -> None:
    monitor = _monitor()
    collector = Collector(monitor, LoadState())
    config = Config(models=(ModelConfig(name="shop", reference="shop.json", windows=WINDOWS),))
    _submit(monitor, hour=0, now=0.0)
    for now, profile, sums in ((10.0, PLAIN, 0), (20.0, PROFILE, 600)):
        monitor.reconfigure(config, {"shop": profile}, now=now)
        assert _drift(monitor, now=now)["reference"]["fingerprint"] == profile.fingerprint
        _submit(monitor, hour=0, now=now)
        families = _families(collector, now=now)
        assert sum(families[model_metrics.BIN_OBSERVATIONS.name].values()) == 600  # 300 events of two features
        assert sum(families.get(model_metrics.BIN_EXPECTED_OBSERVATIONS.name, {}).values()) == pytest.approx(sums)
        assert (model_metrics.REFERENCE_SEASON_SAMPLES.name in families) == (profile is PROFILE)
        assert {labels[1] for labels in families[model_metrics.BIN_OBSERVATIONS.name]} == {profile.fingerprint}


def test_an_hour_without_rows_is_compared_with_the_whole_and_counts_for_one_row() -> None:
    config = Config(models=(ModelConfig(name="shop", reference="shop.json", windows=WINDOWS),))
    monitor = Monitor(config, {"shop": PROFILE}, now=0.0, start=MIDNIGHT + timedelta(hours=23))
    monitor.open_transport("http")
    _submit(monitor, hour=12, now=1.0)
    families = _families(Collector(monitor, LoadState()), now=2.0)
    assert families[model_metrics.REFERENCE_SEASON_SAMPLES.name] == {("shop", PROFILE.fingerprint): 0}
    found = _drift(monitor, now=2.0)
    assert {f["level"] for f in found["features"]} == {"none"}
    assert min(f["windows"]["1h"]["threshold"] for f in found["features"]) > 1


def _drift(monitor: Monitor, *, now: float = 60.0, feature: str | None = None) -> dict[str, Any]:
    report: dict[str, Any] = msgspec.to_builtins(at_once(reporting_drift(monitor, now=now, feature=feature)))
    found: dict[str, Any] = report["models"]["shop"]
    return found


def test_the_report_names_the_season_and_shows_what_was_expected() -> None:
    monitor = _monitor()
    _submit(monitor, hour=0, now=0.0)
    found = _drift(monitor, feature="means")
    assert found["reference"]["season"] == {"cycle": "hour-of-day", "time_zone": "Europe/Berlin"}
    [feature] = found["features"]
    means = next(f for f in PROFILE.features if f.name == "means")
    by_hand = oracle.live_shares(season_counts(means, DAY)[0], oracle.reference_shares(means.bin_counts()))
    assert [b["reference"] for b in feature["bins"]] == pytest.approx(by_hand.tolist(), rel=1e-12)
