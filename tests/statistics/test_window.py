import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sidecar.statistics.window import PANES, Windows

SIZE = 5

gaps = st.one_of(
    st.just(0.0),
    st.floats(0, 2),
    st.floats(0, 500),
    st.sampled_from([1.0, 5.0, 59.0, 60.0, 61.0, 300.0, 301.0, 3600.0, 86400.0, 1e7]),
)
indices = st.lists(st.integers(0, SIZE - 1), max_size=6)
lengths = st.lists(st.sampled_from([1.0, 7.0, 60.0, 61.3, 300.0, 3600.0, 86400.0]), min_size=1, max_size=3)


class Naive:
    """Keep every observation, and count those whose pane is among the last PANES."""

    def __init__(self, lengths: list[float]) -> None:
        self.lengths = lengths
        self.kept: list[tuple[float, int]] = []

    def add(self, found: list[int], now: float) -> None:
        self.kept += [(now, index) for index in found]

    def counts(self, now: float) -> list[list[int]]:
        answer = []
        for length in self.lengths:
            pane = length / PANES
            live = [index for at, index in self.kept if int(at // pane) > int(now // pane) - PANES]
            answer.append(np.bincount(np.array(live, dtype=int), minlength=SIZE).tolist())
        return answer


def _array(found: list[int]) -> NDArray[np.intp]:
    return np.array(found, dtype=np.intp)


@given(lengths, st.floats(0, 1e6), st.lists(st.tuples(gaps, indices, st.booleans()), max_size=40))
def test_windows_equal_a_list_of_all_observations(
    lengths: list[float], start: float, steps: list[tuple[float, list[int], bool]]
) -> None:
    windows, naive, now = Windows(SIZE, lengths, now=start), Naive(lengths), start
    for gap, found, read in steps:
        now += gap
        windows.add(_array(found), now=now)
        naive.add(found, now)
        if read:
            counts = windows.counts(now=now)
            assert counts.tolist() == naive.counts(now)
            assert (counts >= 0).all()
    assert windows.counts(now=now).tolist() == naive.counts(now)
    assert windows.ever().tolist() == np.bincount(_array([i for _, i in naive.kept]), minlength=SIZE).tolist()


@given(lengths, st.lists(st.tuples(gaps, indices), min_size=1, max_size=20))
def test_splitting_batches_changes_nothing(lengths: list[float], steps: list[tuple[float, list[int]]]) -> None:
    whole, split, now = Windows(SIZE, lengths, now=0.0), Windows(SIZE, lengths, now=0.0), 0.0
    for gap, found in steps:
        now += gap
        whole.add(_array(found), now=now)
        for index in reversed(found):
            split.add(_array([index]), now=now)
    assert whole.counts(now=now).tolist() == split.counts(now=now).tolist()
    assert whole.ever().tolist() == split.ever().tolist()


@given(lengths, st.lists(st.tuples(gaps, indices), min_size=1, max_size=20))
def test_reading_changes_nothing(lengths: list[float], steps: list[tuple[float, list[int]]]) -> None:
    read, unread, now = Windows(SIZE, lengths, now=0.0), Windows(SIZE, lengths, now=0.0), 0.0
    for gap, found in steps:
        now += gap
        for windows in (read, unread):
            windows.add(_array(found), now=now)
        read.counts(now=now)
        read.ever()
    assert read.counts(now=now).tolist() == unread.counts(now=now).tolist()


@given(st.floats(0, 1e5), st.sampled_from([60.0, 300.0, 3600.0]), st.floats(0, 1.2))
def test_contents_cover_59_sixtieths_to_the_whole_length(start: float, length: float, age: float) -> None:
    windows = Windows(1, [length], now=start)
    windows.add(_array([0]), now=start)
    [[count]] = windows.counts(now=start + age * length).tolist()
    if age < (PANES - 1) / PANES - 1e-6:
        assert count == 1
    elif age > 1 + 1e-6:
        assert count == 0
    else:
        assert count in (0, 1)


def test_an_observation_leaves_a_window_at_once_and_stays_in_the_longer_one() -> None:
    windows = Windows(1, [60.0, 3600.0], now=0.0)
    windows.add(_array([0]), now=0.5)
    assert windows.counts(now=59.9).tolist() == [[1], [1]]
    assert windows.counts(now=60.0).tolist() == [[0], [1]]
    assert windows.counts(now=3600.0).tolist() == [[0], [0]]
    assert windows.ever().tolist() == [1]


def test_an_observation_at_the_end_of_a_pane_belongs_to_the_next() -> None:
    windows = Windows(1, [60.0], now=0.0)
    windows.add(_array([0]), now=1.0)
    assert windows.counts(now=60.5).tolist() == [[1]]
    assert windows.counts(now=61.0).tolist() == [[0]]


def test_a_gap_longer_than_the_window_empties_it() -> None:
    windows = Windows(1, [60.0], now=0.0)
    for second in range(60):
        windows.add(_array([0]), now=float(second))
    windows.add(_array([0]), now=1e6)
    assert windows.counts(now=1e6).tolist() == [[1]]
    assert windows.ever().tolist() == [61]


def test_time_that_goes_back_loses_nothing() -> None:
    windows = Windows(1, [60.0], now=100.0)
    windows.add(_array([0]), now=100.0)
    windows.add(_array([0]), now=90.0)
    assert windows.counts(now=80.0).tolist() == [[2]]


def test_counts_are_added_as_observations_are() -> None:
    one, other = Windows(6, [60.0], now=0.0), Windows(6, [60.0], now=0.0)
    one.add_counts(2, np.array([3, 0, 1]), now=1.0)
    other.add(_array([2, 2, 4, 2]), now=1.0)
    assert one.counts(now=2.0).tolist() == other.counts(now=2.0).tolist() == [[0, 0, 3, 0, 1, 0]]


def test_few_and_many_indices_are_counted_alike() -> None:
    few, many = Windows(1000, [60.0], now=0.0), Windows(1000, [60.0], now=0.0)
    found = np.random.default_rng(1).integers(0, 1000, 500)
    many.add(found, now=0.0)
    for chunk in np.split(found, 50):
        few.add(chunk, now=0.0)
    assert few.ever().tolist() == many.ever().tolist()


def test_no_windows_still_count_since_the_start() -> None:
    windows = Windows(2, [], now=0.0)
    windows.add(_array([0, 1, 1]), now=math.pi)
    assert windows.counts(now=10.0).shape == (0, 2)
    assert windows.ever().tolist() == [1, 2]


def test_more_events_in_a_pane_than_uint32_holds_leave_with_it() -> None:
    month = 30 * 86_400.0
    windows = Windows(1, [month], now=0.0)
    for _ in range(3):
        windows.add_counts(0, np.array([2**31]), now=1.0)
        assert windows.counts(now=1.0).shape == (1, 1)
    restored = Windows(1, [month], now=0.0)
    restored.restore(windows.state())
    for each in (windows, restored):
        assert each.counts(now=month / 2).tolist() == [[3 * 2**31]]
        assert each.counts(now=2 * month).tolist() == [[0]]
