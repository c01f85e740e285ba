import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.base.duration import Duration
from sidecar.config import LatencyConfig
from sidecar.events.batch import Batch, Schema
from sidecar.monitor.traffic import QUANTILES, Traffic
from sidecar.statistics.latency_sketch import RELATIVE_ERROR

WINDOWS = (Duration("1m"), Duration("1h"))
LATENCY = LatencyConfig(buckets=(0.01, 0.1, 1.0), slos=())


def _batch(seconds: list[float], *, events: int | None = None, errors: int = 0) -> Batch:
    events = len(seconds) if events is None else events
    return Batch(Schema("m"), events, errors, np.array(seconds, dtype=float), 0, np.empty((0, 0)), [], 0)


def _traffic() -> Traffic:
    return Traffic(LATENCY, WINDOWS, now=0.0)


def test_the_histogram_is_cumulative_and_its_bounds_inclusive() -> None:
    traffic = _traffic()
    traffic.observe(_batch([0.01, 0.010001, 0.1, 0.5, 1.0, 1.1, 50_000.0]), now=0.0)
    assert traffic.bounds == (0.01, 0.1, 0.5, 1.0)
    assert traffic.histogram().tolist() == [1, 3, 4, 5, 7]
    assert traffic.latency_sum == pytest.approx(50_002.720001)


def test_events_without_latency_count_as_events_alone() -> None:
    traffic = _traffic()
    traffic.observe(_batch([0.2], events=5, errors=3), now=0.0)
    assert (traffic.events, traffic.errors, traffic.histogram()[-1]) == (5, 3, 1)
    [reading, _] = traffic.readings([0.1, 0.5], now=1.0)
    assert (reading.events, reading.errors, reading.latencies) == (5, 3, 1)
    assert reading.within == (0.0, 1.0)


def test_windows_forget_and_totals_do_not() -> None:
    traffic = _traffic()
    traffic.observe(_batch([0.05] * 10, errors=2), now=0.0)
    traffic.observe(_batch([0.5] * 4), now=100.0)
    minute, hour = traffic.readings([0.1], now=100.0)
    assert (minute.events, minute.errors, minute.latencies, minute.within) == (4, 0, 4, (0.0,))
    assert (hour.events, hour.errors, hour.latencies, hour.within) == (14, 2, 14, (10 / 14,))
    assert (traffic.events, traffic.errors) == (14, 2)
    assert traffic.histogram()[-1] == 14


def test_no_latency_has_no_quantiles_and_no_compliance() -> None:
    for reading in _traffic().readings([0.1], now=0.0):
        assert (reading.events, reading.errors, reading.latencies) == (0, 0, 0)
        assert all(math.isnan(value) for value in (*reading.quantiles, reading.mean, *reading.within))


@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=100), st.integers(0, 100))
def test_readings_equal_the_exact_numbers_however_batches_are_split(seconds: list[float], at: int) -> None:
    traffic = _traffic()
    for part in (seconds[:at], seconds[at:]):
        traffic.observe(_batch(part), now=5.0)
    [reading, _] = traffic.readings([0.01, 0.1, 0.5, 1.0], now=6.0)
    exact = np.quantile(seconds, QUANTILES, method="inverted_cdf")
    assert reading.quantiles == pytest.approx(exact.tolist(), rel=RELATIVE_ERROR * 1.0001)
    assert reading.mean == pytest.approx(np.mean(seconds), rel=RELATIVE_ERROR * 1.0001)
    assert reading.within == tuple(sum(s <= bound for s in seconds) / len(seconds) for bound in (0.01, 0.1, 0.5, 1.0))
    assert traffic.latency_sum == pytest.approx(sum(seconds))
