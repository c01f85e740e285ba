"""Traffic that is made up is what its description says, and the alerts are asked about it by the shipped code."""

import numpy as np
import pytest

from bench.trust.judge import reference_of, replay
from bench.trust.streams import BEGIN, Drift, Stream, between, first, generate, retried, shuffled

STREAM = Stream(features=3, per_hour=400)


def test_the_same_seed_gives_the_same_rows() -> None:
    a, b, c = (generate(STREAM, hours=5, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(a.times, b.times)
    assert np.array_equal(a.columns["f002"], b.columns["f002"])
    assert a.times.size != c.times.size


@pytest.mark.parametrize(
    ("change", "size", "mean", "spread"),
    [("shift", 0.2, 0.2, 1.0), ("spread", 1.25, 0.0, 1.25), ("replica", 0.1, 0.2, 1.17), ("segment", 0.03, 0.06, 1.06)],
)
def test_a_drift_is_of_the_first_feature_and_of_its_size(change: str, size: float, mean: float, spread: float) -> None:
    at = BEGIN + 50 * 3600
    rows = generate(STREAM, hours=150, seed=3, drift=Drift(change, at, size))  # type: ignore[arg-type]
    before, after = (np.log(rows.columns["f000"][kept]) / 0.7 for kept in (rows.times < at, rows.times >= at))
    assert before.mean() == pytest.approx(0, abs=0.03)
    assert before.std() == pytest.approx(1, abs=0.03)
    assert after.mean() == pytest.approx(mean, abs=0.03)
    assert after.std() == pytest.approx(spread, abs=0.03)
    assert rows.columns["f001"][rows.times >= at].mean() == pytest.approx(0, abs=0.03)


def test_nulls_begin_when_they_are_to() -> None:
    rows = generate(STREAM, hours=100, seed=3, drift=Drift("nulls", BEGIN + 40 * 3600, 0.05))
    missing = np.isnan(rows.columns["f000"])
    assert not missing[rows.times < BEGIN + 40 * 3600].any()
    assert missing[rows.times >= BEGIN + 40 * 3600].mean() == pytest.approx(0.05, abs=0.005)


def test_means_wander_as_far_as_they_are_to_and_keep_from_hour_to_hour() -> None:
    rows = generate(Stream(features=3, per_hour=200, wander=0.5, memory_hours=(5, 20)), hours=2000, seed=1)
    hourly = np.array([between(rows, h, h + 1).columns["f001"].mean() for h in range(2000)])
    assert hourly.std() == pytest.approx(0.5, abs=0.12)
    assert np.corrcoef(hourly[1:], hourly[:-1])[0, 1] > 0.7


def test_rows_are_shuffled_cut_and_repeated() -> None:
    rows = generate(STREAM, hours=50, seed=1)
    mixed, some, twice = shuffled(rows, seed=1), first(rows, 7), retried(rows, 0.5, seed=1)
    assert np.array_equal(np.sort(mixed.columns["f001"]), np.sort(rows.columns["f001"]))
    assert not np.array_equal(mixed.columns["f001"], rows.columns["f001"])
    assert some.times.size == some.columns["f000"].size == 7
    assert twice.times.size == pytest.approx(1.5 * rows.times.size, rel=0.02)
    assert (np.diff(twice.times) >= 0).all()


def test_alerts_are_asked_about_rows_by_the_code_of_the_commands() -> None:
    at = BEGIN + 40 * 3600
    rows = generate(STREAM, hours=46, seed=1, drift=Drift("nulls", at, 0.6))
    found = replay(between(rows, 24, 46), reference_of(between(rows, 0, 24), "timestamp"), drift_at=at)
    assert found.weeks == pytest.approx(22 / 168, rel=0.01)
    assert found.alarms_per_week == found.rollbacks_per_week == found.fixed_per_week == 0
    assert found.found_minutes is not None
    assert 0 < found.found_minutes < 30
    assert found.peak_psi > 1
