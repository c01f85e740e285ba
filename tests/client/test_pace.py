import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_sidecar_client.pace import Pace

BATCH, FLUSH = 500, 1.0


def _pace(*, per_second: float | None = None) -> Pace:
    pace = Pace(BATCH, FLUSH, now=0.0)
    if per_second is not None:
        pace.waited(0.1, round(per_second / 10))
    return pace


def test_nothing_is_expected_before_anything_came() -> None:
    assert _pace().seconds(0, now=0.25) == 0.75
    assert _pace(per_second=0).seconds(0, now=0.25) == 0.75


@given(st.integers(600, 50_000), st.integers(0, BATCH - 1))
def test_a_steady_stream_is_looked_at_when_a_batch_is_just_full(per_second: int, queued: int) -> None:
    per_second = per_second // 10 * 10
    seconds = _pace(per_second=per_second).seconds(queued, now=0.0)
    assert BATCH <= queued + seconds * per_second <= BATCH * 1.1 + 0.005 * per_second


def test_a_stream_that_is_too_slow_for_a_batch_is_sent_in_time() -> None:
    assert _pace(per_second=100).seconds(0, now=0.0) == FLUSH


@pytest.mark.parametrize("per_second", [1e6, 1e9])
def test_the_fastest_stream_is_looked_at_two_hundred_times_a_second(per_second: float) -> None:
    assert _pace(per_second=per_second).seconds(0, now=0.0) == 0.005


@pytest.mark.parametrize("per_second", [0, 10])
def test_a_full_batch_after_few_events_is_looked_for_within_a_second(per_second: int) -> None:
    pace = Pace(BATCH, 3600.0, now=0.0)
    pace.waited(1.0, per_second)
    assert pace.seconds(0, now=0.0) == 1.0
    assert not pace.due(3599.0)


def test_the_shortest_time_is_no_busy_loop() -> None:
    pace = Pace(BATCH, 1e-9, now=0.0)
    assert pace.seconds(0, now=0.0) == 0.005
    pace.sent_all(1.0)
    assert not pace.due(1.004)
    assert pace.due(1.005)


def test_events_that_came_at_once_say_nothing_of_more_than_a_moment() -> None:
    pace = _pace()
    pace.waited(1e-9, 1)
    assert pace.seconds(0, now=0.0) == FLUSH


def test_less_than_a_batch_is_due_so_long_after_all_was_sent() -> None:
    pace = _pace()
    assert not pace.due(0.99)
    assert pace.due(1.0)
    pace.sent_all(1.25)
    assert not pace.due(2.24)
    assert pace.due(2.25)
    assert pace.seconds(0, now=3.0) == 0.0
