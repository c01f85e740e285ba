from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sidecar.base.cooperative import at_once
from sidecar.reference.profile import CategoricalProfile, NumericProfile, Profile, check
from sidecar.reference.seasonal import Seasonal
from sidecar.statistics import drift
from sidecar.statistics.bins import Floats
from sidecar.statistics.season import Season

DAY = Season(cycle="hour-of-day")
STARTS = np.array([0, 3])
NIGHT, NOON, NEVER = 2, 12, 20


def _counts() -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Ten rows at night, forty at noon, of a feature of three bins and one of two."""
    counts = np.zeros((24, 5), dtype=np.int64)
    counts[NIGHT] = [8, 1, 1, 10, 0]
    counts[NOON] = [0, 30, 10, 20, 20]
    return counts


def _seasonal() -> Seasonal:
    counts = _counts()
    whole = drift.reference_shares(counts.sum(axis=0), STARTS)
    return Seasonal(DAY, counts[:, :3].sum(axis=1), counts, whole, STARTS)


def _events(**slots: int) -> Floats:
    events = np.zeros(24)
    for name, number in slots.items():
        events[{"night": NIGHT, "noon": NOON, "never": NEVER}[name]] = number
    return events


def test_events_of_one_hour_are_expected_as_that_hour_was() -> None:
    seasonal = _seasonal()
    r = drift.reference_shares(_counts().sum(axis=0), STARTS)[:3]
    by_hand = (np.array([8, 1, 1]) + 1.5 * r) / (10 + 1.5)
    assert seasonal.expected(_events(night=7))[:3] == pytest.approx(by_hand, rel=1e-12)
    assert seasonal.effective_rows(_events(night=7)) == pytest.approx(10)


def test_events_of_several_hours_are_expected_as_their_mixture() -> None:
    seasonal = _seasonal()
    both = seasonal.expected(_events(night=30, noon=10))
    night, noon = seasonal.expected(_events(night=1)), seasonal.expected(_events(noon=1))
    assert both == pytest.approx(0.75 * night + 0.25 * noon, rel=1e-12)
    assert drift.per_feature(both, STARTS) == pytest.approx(np.ones(2), rel=1e-12)
    assert seasonal.effective_rows(_events(night=30, noon=10)) == pytest.approx(1 / (0.75**2 / 10 + 0.25**2 / 40))


def test_traffic_of_the_kind_that_the_reference_had_is_compared_with_all_of_its_rows() -> None:
    assert _seasonal().effective_rows(_events(night=1, noon=4)) == pytest.approx(50)


def test_an_hour_the_reference_never_saw_is_expected_as_the_whole_and_weighs_one_row() -> None:
    seasonal = _seasonal()
    whole = drift.reference_shares(_counts().sum(axis=0), STARTS)
    assert seasonal.expected(_events(never=5)) == pytest.approx(whole, rel=1e-12)
    assert seasonal.effective_rows(_events(never=5)) == pytest.approx(1)


def test_without_events_the_whole_is_expected() -> None:
    seasonal = _seasonal()
    whole = drift.reference_shares(_counts().sum(axis=0), STARTS)
    none = np.zeros((2, 24), dtype=np.int64)
    assert seasonal.expected(none).tolist() == [whole.tolist(), whole.tolist()]
    assert np.isfinite(seasonal.effective_rows(none)).all()


def test_windows_without_events_lie_beside_others() -> None:
    seasonal = _seasonal()
    events = np.array([_events(night=1, noon=4), _events(), _events(never=2**40)])
    with np.errstate(all="raise"):
        expected, rows = seasonal.expected(events), seasonal.effective_rows(events)
    for i, each in enumerate(events):
        assert expected[i].tolist() == seasonal.expected(each).tolist()
        assert rows[i] == seasonal.effective_rows(each)
    assert expected[1].tolist() == drift.reference_shares(_counts().sum(axis=0), STARTS).tolist()
    assert seasonal.expected(events[:0]).shape == (0, 5)


def test_thousands_of_bins_are_mixed_as_few_are() -> None:
    features = 1000
    counts, starts = np.tile(_counts(), features), np.arange(features) * 5
    many = Seasonal(DAY, counts[:, :3].sum(axis=1), counts, drift.reference_shares(counts.sum(axis=0), starts), starts)
    events = _events(night=30, noon=10)
    few = drift.reference_shares(_counts().sum(axis=0), np.array([0]))
    one = Seasonal(DAY, counts[:, :3].sum(axis=1), _counts(), few, np.array([0]))
    assert many.expected(events).reshape(features, 5) == pytest.approx(np.tile(one.expected(events), (features, 1)))


@given(st.lists(st.tuples(st.integers(0, 23), st.sampled_from([1, 3, 256, 10**7, 10**12])), min_size=1, max_size=40))
def test_events_that_are_expected_never_become_fewer(batches: list[tuple[int, int]]) -> None:
    seasonal, events, before = _seasonal(), np.zeros(24, dtype=np.int64), np.zeros(5)
    for slot, rows in batches:
        events[slot] += rows
        expected = at_once(seasonal.expecting_events(events))
        assert (expected >= before).all()
        before = expected
    exact = [sum(int(n) * Fraction(r) for n, r in zip(events, seasonal.shares[:, b], strict=True)) for b in range(5)]
    assert before.tolist() == pytest.approx([float(e) for e in exact], rel=1e-14)


def test_one_event_more_is_seen_after_a_million_million() -> None:
    seasonal, events = _seasonal(), np.zeros(24, dtype=np.int64)
    events[NOON] = 10**12
    before = at_once(seasonal.expecting_events(events))
    for _ in range(1000):
        events[NIGHT] += 1
        after = at_once(seasonal.expecting_events(events))
    assert after - before == pytest.approx(1000 * seasonal.shares[NIGHT], abs=2e-4)


def test_a_profile_gives_its_counts_in_the_order_asked_for() -> None:
    counts = _counts().astype("<u4")
    number = NumericProfile(name="n", edges=(1.0,), counts=(8, 31), missing=11, season_counts=counts[:, :3].tobytes())
    text = CategoricalProfile(name="t", categories=(), counts=(), other=30, missing=20)
    text = replace(text, season_counts=counts[:, 3:].tobytes())
    rows = tuple(counts[:, :3].sum(axis=1).tolist())
    created = datetime(2026, 1, 1, tzinfo=UTC)
    profile = Profile(created=created, rows=50, season=DAY, season_rows=rows, features=(text, number))
    check(profile)
    whole = drift.reference_shares(_counts().sum(axis=0), STARTS)
    found = Seasonal.of(profile, (number, text), whole, STARTS)
    assert found is not None
    assert found.shares.tolist() == _seasonal().shares.tolist()
    assert Seasonal.of(replace(profile, season=None), (number, text), whole, STARTS) is None
