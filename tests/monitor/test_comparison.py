import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.base.cooperative import at_once
from sidecar.base.duration import Duration
from sidecar.config import DriftConfig, FeatureDrift, FeatureThresholds
from sidecar.events.batch import PREDICTION, PROBABILITY, Batch, Key
from sidecar.monitor.comparison import Comparison
from sidecar.reference import NumericProfile, build
from sidecar.statistics import drift
from sidecar.statistics.bins import CategoricalBins, NumericBins

RNG = np.random.default_rng(3)
ROWS = 2000
PROFILE = build(
    {
        "merchant": RNG.choice(["visa", "master", "amex"], ROWS),
        "amount": RNG.normal(100, 20, ROWS),
        "label": RNG.choice(["yes", "no"], ROWS),
        "age": RNG.integers(18, 80, ROWS).astype(float),
        "score": RNG.random(ROWS),
    },
    prediction="label",
    probability="score",
    created=datetime(2026, 1, 1, tzinfo=UTC),
)
WINDOWS = (Duration("5m"), Duration("1h"))
WALL = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def _comparison(settings: DriftConfig | None = None) -> Comparison:
    return Comparison("m", PROFILE, settings or DriftConfig(), WINDOWS, now=0.0)


def _batch(comparison: Comparison, rows: int, columns: dict[str, list[Any]]) -> Batch:
    """A batch of rows in which features that are not given are missing."""
    schema = comparison.schema
    numeric = [np.array(columns.get(key.name, [math.nan] * rows), dtype=float) for key in schema.numeric]
    categorical: list[Any] = [columns.get(key.name, [None] * rows) for key in schema.categorical]
    return Batch(schema, rows, 0, np.empty(0), rows, np.array(numeric), categorical, 0)


def _usual(comparison: Comparison, rows: int, **columns: list[Any]) -> Batch:
    rng = np.random.default_rng(rows)
    usual: dict[str, list[Any]] = {
        "merchant": rng.choice(["visa", "master", "amex"], rows).tolist(),
        "amount": rng.normal(100, 20, rows).tolist(),
        "prediction": rng.choice(["yes", "no"], rows).tolist(),
        "age": rng.integers(18, 80, rows).tolist(),
        "probability": rng.random(rows).tolist(),
    }
    return _batch(comparison, rows, usual | columns)


def _levels(comparison: Comparison, *, window: int = 0, now: float = 0.0) -> dict[str, int]:
    level = comparison.read(now=now).level[window]
    return {feature.name: int(level[i]) for i, feature in enumerate(comparison.features)}


def test_numeric_features_come_first_and_outputs_are_features() -> None:
    schema = _comparison().schema
    assert schema.numeric == (Key("input", "amount"), Key("input", "age"), PROBABILITY)
    assert schema.categorical == (Key("input", "merchant"), PREDICTION)
    assert not schema.learning


def test_usual_traffic_has_no_drift() -> None:
    comparison = _comparison()
    comparison.observe(_usual(comparison, 1000), now=0.0, wall=WALL)
    assert set(_levels(comparison).values()) == {0}


def test_one_feature_that_drifts_is_told_from_the_others() -> None:
    comparison = _comparison()
    comparison.observe(_usual(comparison, 1000, amount=[200.0] * 1000), now=0.0, wall=WALL)
    levels = _levels(comparison)
    assert levels.pop("amount") == 3
    assert set(levels.values()) == {0}


def test_values_that_go_missing_are_drift() -> None:
    comparison = _comparison()
    comparison.observe(_usual(comparison, 1000, merchant=[None] * 1000, age=[math.nan] * 1000), now=0.0, wall=WALL)
    levels, reading = _levels(comparison), comparison.read(now=0.0)
    assert (levels["merchant"], levels["age"]) == (3, 3)
    missing = dict(zip((f.name for f in comparison.features), reading.missing[0].tolist(), strict=True))
    assert missing == {"amount": 0, "age": 1000, "probability": 0, "merchant": 1000, "prediction": 0}


def test_too_few_samples_are_unknown_and_old_ones_leave_the_window() -> None:
    comparison = _comparison()
    comparison.observe(_usual(comparison, 199), now=0.0, wall=WALL)
    assert set(_levels(comparison).values()) == {-1}
    comparison.observe(_usual(comparison, 1), now=0.0, wall=WALL)
    assert set(_levels(comparison).values()) == {0}
    assert set(_levels(comparison, now=300.0).values()) == {-1}
    assert set(_levels(comparison, now=300.0, window=1).values()) == {0}
    assert comparison.observations().sum() == 200 * len(comparison.features)


def test_a_reading_holds_what_was_counted_when_it_was_asked_for() -> None:
    comparison = _comparison()
    comparison.observe(_usual(comparison, 300), now=0.0, wall=WALL)
    steps = comparison.reading(now=0.0)
    comparison.observe(_usual(comparison, 200), now=0.0, wall=WALL)
    comparison.judge(DriftConfig(min_samples=400))
    reading = at_once(steps)
    assert set(reading.samples[0].tolist()) == {300}
    assert (reading.level >= 0).all()
    assert set(comparison.read(now=0.0).samples[0].tolist()) == {500}


def test_no_traffic_reads_as_zeros_without_samples() -> None:
    reading = _comparison().read(now=0.0)
    for statistic in (*(reading.statistics[name] for name in ("psi", "kl", "js")), reading.samples, reading.missing):
        assert not statistic.any()
    assert np.isinf(reading.statistics["threshold"]).all()
    assert np.isnan(reading.statistics["ks"]).all()


def test_features_may_have_thresholds_of_their_own() -> None:
    lenient = FeatureDrift(thresholds=FeatureThresholds(moderate=90, significant=91, critical=92, rollback=93))
    comparison = _comparison(DriftConfig(features={"amount": lenient}))
    shifted = [200.0] * 1000
    comparison.observe(_usual(comparison, 1000, amount=shifted, age=shifted), now=0.0, wall=WALL)
    assert (_levels(comparison)["amount"], _levels(comparison)["age"]) == (0, 3)
    comparison.judge(DriftConfig())
    assert _levels(comparison)["amount"] == 3


def test_alpha_moves_the_significance_threshold() -> None:
    comparison = _comparison()
    before = comparison.significance_factor
    comparison.judge(DriftConfig(alpha=0.1))
    assert (comparison.significance_factor < before).all()


def test_values_beyond_those_of_the_reference_are_out_of_range() -> None:
    comparison = _comparison()
    amount = comparison.features[0]
    assert isinstance(amount, NumericProfile)
    assert amount.min is not None
    assert amount.max is not None
    low, high = amount.min, amount.max
    amounts = [low, high, low - 1, high + 1, math.nan, math.inf]
    comparison.observe(_batch(comparison, 6, {"amount": amounts, "age": [50.0] * 6}), now=0.0, wall=WALL)
    assert comparison.out_of_range.tolist() == [3, 0, 0]


@pytest.mark.parametrize(("beyond", "count"), [(-math.inf, 1), (math.inf, 1), (None, 0), (math.nan, 0)])
def test_values_beyond_those_of_the_reference_on_one_side_alone_are_out_of_range(
    beyond: float | None, count: int
) -> None:
    comparison = _comparison()
    ages = [50.0, 50.0 if beyond is None else beyond]
    comparison.observe(_batch(comparison, 2, {"amount": [math.nan] * 2, "age": ages}), now=0.0, wall=WALL)
    assert comparison.out_of_range.tolist() == [0, count, 0]


rows = st.lists(
    st.tuples(st.sampled_from([math.nan, 0.0, 99.0, 101.5, 1e9]), st.sampled_from([None, "visa", "new", True, 5])),
    max_size=30,
)


@given(rows, st.integers(0, 30))
def test_counts_equal_one_feature_and_value_at_a_time_however_split(pairs: list[tuple[float, Any]], at: int) -> None:
    comparison = _comparison()
    for part in (pairs[:at], pairs[at:]):
        amounts, merchants = [a for a, _ in part], [m for _, m in part]
        comparison.observe(
            _batch(comparison, len(part), {"amount": amounts, "merchant": merchants}), now=1.0, wall=WALL
        )
    bounds = [*comparison.starts, comparison.reference_counts.size]
    for i, (feature, bins) in enumerate(zip(comparison.features, comparison.bins, strict=True)):
        counts = comparison.observations()[bounds[i] : bounds[i + 1]]
        assert counts.sum() == len(pairs)
        if feature.name == "amount":
            assert isinstance(bins, NumericBins)
            single = [int(bins.index(np.array([a]))[0]) for a, _ in pairs]
        elif feature.name == "merchant":
            assert isinstance(bins, CategoricalBins)
            single = [int(bins.index([m])[0]) for _, m in pairs]
        else:
            single = [bins.size - 1] * len(pairs)
        assert counts.tolist() == np.bincount(np.array(single, dtype=int), minlength=bins.size).tolist()


def test_a_reading_equals_the_statistics_of_each_feature_alone() -> None:
    comparison = _comparison()
    comparison.observe(_usual(comparison, 700, amount=[130.0] * 700), now=0.0, wall=WALL)
    reading, counts = comparison.read(now=0.0), comparison.counts(now=0.0)
    bounds, alone = [*comparison.starts, counts.shape[1]], np.array([0])
    for i, feature in enumerate(comparison.features):
        live, reference = counts[:, bounds[i] : bounds[i + 1]], np.array(feature.bin_counts())
        r = drift.reference_shares(reference, alone)
        q = drift.live_shares(live, r, alone)
        assert reading.statistics["psi"][:, i] == pytest.approx(drift.psi(q, r, alone)[:, 0])
        assert reading.statistics["kl"][:, i] == pytest.approx(drift.kl_divergence(q, r, alone)[:, 0])
        assert reading.statistics["js"][:, i] == pytest.approx(drift.js_divergence(q, r, alone)[:, 0])
        factor = drift.significance_factor(reference.size, alpha=0.001, design_effect=feature.design_effect)
        assert reading.statistics["threshold"][:, i] == pytest.approx(factor * (1 / 700 + 1 / ROWS))
        assert np.isnan(reading.statistics["ks"][:, i]).all() == (i >= len(comparison.schema.numeric))
