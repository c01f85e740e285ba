import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from sidecar.statistics import latency_sketch

BOUND = latency_sketch.RELATIVE_ERROR * (1 + 1e-6)
QUANTILES = [0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0]

latencies = hnp.arrays(
    np.float64,
    st.integers(1, 200),
    elements=st.floats(math.log(latency_sketch.FLOOR), math.log(latency_sketch.CEILING)),
).map(lambda logs: np.clip(np.exp(logs), latency_sketch.FLOOR, latency_sketch.CEILING))


def _counts(seconds: NDArray[Any]) -> NDArray[np.int64]:
    return np.bincount(latency_sketch.index(seconds), minlength=latency_sketch.SIZE)


def _relative_error(found: Any, exact: Any) -> float:
    return float(np.max(np.abs(found - exact) / exact))


@given(latencies)
def test_quantiles_are_within_the_bound(seconds: NDArray[np.float64]) -> None:
    exact = np.quantile(seconds, QUANTILES, method="inverted_cdf")
    assert _relative_error(latency_sketch.quantile(_counts(seconds), QUANTILES), exact) <= BOUND


@pytest.mark.parametrize(
    "seconds",
    [
        np.full(1000, 0.1),
        np.concatenate([np.full(95, 0.001), np.full(5, 9000.0)]),
        np.concatenate([np.full(99, latency_sketch.FLOOR), [latency_sketch.CEILING]]),
        np.random.default_rng(1).pareto(1.1, 50_000) * 1e-3 + 1e-6,
        np.random.default_rng(2).lognormal(-4, 3, 50_000).clip(1e-6, 1e4),
        np.random.default_rng(3).uniform(1e-6, 1e4, 50_000),
        np.geomspace(1e-6, 1e4, 100_000),
    ],
    ids=["constant", "two", "ends", "pareto", "lognormal", "uniform", "every bucket"],
)
def test_adversarial_samples_stay_within_the_bound(seconds: NDArray[np.float64]) -> None:
    seconds = np.minimum(seconds, latency_sketch.CEILING)
    exact = np.quantile(seconds, QUANTILES, method="inverted_cdf")
    assert _relative_error(latency_sketch.quantile(_counts(seconds), QUANTILES), exact) <= BOUND
    assert _relative_error(latency_sketch.mean(_counts(seconds)), seconds.mean()) <= BOUND


def test_bounds_of_buckets_stay_within_the_bound() -> None:
    gamma = (1 + latency_sketch.RELATIVE_ERROR) / (1 - latency_sketch.RELATIVE_ERROR)
    bounds = latency_sketch.FLOOR * gamma ** np.arange(latency_sketch.SIZE - 1)
    for nearby in (bounds, np.nextafter(bounds, 0), np.nextafter(bounds, math.inf)):
        inside = nearby[(nearby >= latency_sketch.FLOOR) & (nearby <= latency_sketch.CEILING)]
        alone = inside[::7]
        answers = np.array([latency_sketch.quantile(_counts(alone[i : i + 1]), 0.5)[0] for i in range(alone.size)])
        assert _relative_error(answers, alone) <= BOUND


@given(latencies, latencies)
def test_merge_equals_concatenation(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    assert (_counts(a) + _counts(b)).tolist() == _counts(np.concatenate([a, b])).tolist()


@given(latencies)
def test_buckets_keep_the_order_of_values(seconds: NDArray[np.float64]) -> None:
    buckets = latency_sketch.index(np.sort(seconds))
    assert (np.diff(buckets) >= 0).all()
    assert buckets.min() >= 0
    assert buckets.max() < latency_sketch.SIZE


@pytest.mark.parametrize("fast", [0.0, 5e-324, 1e-12, latency_sketch.FLOOR])
def test_whatever_is_faster_than_the_floor_counts_as_the_floor(fast: float) -> None:
    assert latency_sketch.index(np.array([fast])).tolist() == [0]
    assert latency_sketch.quantile(_counts(np.array([fast])), 0.5)[0] == pytest.approx(latency_sketch.FLOOR, rel=BOUND)


@pytest.mark.parametrize("slow", [latency_sketch.CEILING, 1e5, 1e300, math.inf])
def test_whatever_is_slower_than_the_ceiling_counts_as_the_ceiling(slow: float) -> None:
    assert latency_sketch.index(np.array([slow]))[0] < latency_sketch.SIZE
    answer = latency_sketch.quantile(_counts(np.array([slow])), 0.5)[0]
    assert answer == pytest.approx(latency_sketch.CEILING, rel=BOUND)
    assert answer <= latency_sketch.CEILING


def test_nothing_counted_has_no_quantile_and_no_mean() -> None:
    none = np.zeros((2, latency_sketch.SIZE), dtype=np.int64)
    assert np.isnan(latency_sketch.quantile(none, [0.5, 0.9])).all()
    assert np.isnan(latency_sketch.mean(none)).all()


def test_windows_are_answered_together() -> None:
    counts = np.stack([_counts(np.full(10, 0.01)), np.zeros(latency_sketch.SIZE, np.int64), _counts(np.full(3, 2.0))])
    answers = latency_sketch.quantile(counts, [0.5, 0.99])
    assert answers.shape == (3, 2)
    assert answers[0] == pytest.approx([0.01, 0.01], rel=BOUND)
    assert np.isnan(answers[1]).all()
    assert answers[2] == pytest.approx([2.0, 2.0], rel=BOUND)
    assert latency_sketch.mean(counts)[[0, 2]] == pytest.approx([0.01, 2.0], rel=BOUND)


def test_rank_is_the_smallest_that_reaches_the_share() -> None:
    seconds = np.array([0.1] * 95 + [1.0] * 5)
    assert latency_sketch.quantile(_counts(seconds), [0.95, 0.950001]) == pytest.approx([0.1, 1.0], rel=BOUND)
