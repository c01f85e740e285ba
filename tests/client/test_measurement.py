import asyncio
import contextvars
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from sidecar.client import Monitor
from sidecar.client.event import Event, Label
from tests.client.support import EVENT


class Recorded(Monitor):
    """A monitor that keeps what it would send."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        super().__init__("http://127.0.0.1:9", queue_events=3)

    def _put(self, event: Event | Label) -> None:
        assert len(event) == 6
        self.events.append(event)

    @property
    def latencies(self) -> list[float]:
        return [event[3] for event in self.events]

    @property
    def errors(self) -> list[bool]:
        return [event[4] for event in self.events]


@pytest.fixture
def monitor() -> Iterator[Recorded]:
    made = Recorded()
    yield made
    made.close()


def test_events_of_a_block_carry_its_latency_unless_they_have_their_own(monitor: Recorded) -> None:
    with monitor.measure():
        monitor.log(EVENT)
        monitor.log(EVENT, latency_ms=7000.0)
        assert monitor.events == []
    first, second = monitor.latencies
    assert 0 <= first < 7000
    assert second == 7000
    monitor.log(EVENT)
    assert monitor.latencies[2] is None
    assert monitor.errors == [False] * 3


def test_a_block_that_fails_makes_its_events_errors(monitor: Recorded) -> None:
    with suppress(ZeroDivisionError), monitor.measure():
        monitor.log(EVENT)
        raise ZeroDivisionError
    assert monitor.errors == [True]


def test_a_failure_without_events_is_an_event_and_a_success_is_none(monitor: Recorded) -> None:
    with monitor.measure():
        pass
    assert monitor.events == []
    with suppress(ZeroDivisionError), monitor.measure():
        raise ZeroDivisionError
    [(features, _, _, latency, error, _)] = monitor.events
    assert (features, error) == (None, True)
    assert latency >= 0


def test_what_is_cancelled_is_no_failure(monitor: Recorded) -> None:
    with pytest.raises(asyncio.CancelledError), monitor.measure():
        raise asyncio.CancelledError
    assert monitor.events == []


def test_a_failure_that_passes_through_several_blocks_is_one_event(monitor: Recorded) -> None:
    with suppress(ZeroDivisionError), monitor.measure(), monitor.measure():
        raise ZeroDivisionError
    assert monitor.errors == [True]


def test_blocks_of_other_monitors_are_theirs(monitor: Recorded) -> None:
    other = Recorded()
    with monitor.measure(), other.measure():
        monitor.log(EVENT)
        other.log(EVENT)
    other.close()
    assert len(monitor.events) == len(other.events) == 1


def test_a_block_holds_no_more_than_the_queue_would(monitor: Recorded) -> None:
    with monitor.measure():
        for _ in range(5):
            monitor.log(EVENT)
        assert len(monitor.events) == 2
    assert len(monitor.events) == 5


def test_a_thread_that_goes_on_after_the_block_logs_for_itself(monitor: Recorded) -> None:
    ended = threading.Event()

    def work() -> None:
        ended.wait()
        monitor.log(EVENT)

    with monitor.measure():
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
        thread.start()
    ended.set()
    thread.join()
    assert monitor.latencies == [None]


def test_functions_are_timed_and_stay_what_they_are(monitor: Recorded) -> None:
    @monitor.timed
    def double(x: int) -> int:
        """Double it."""
        monitor.log(EVENT)
        return 2 * x

    assert (double(4), double.__name__, double.__doc__) == (8, "double", "Double it.")
    assert monitor.latencies[0] >= 0


async def test_coroutine_functions_are_timed_until_they_return_each_for_itself(monitor: Recorded) -> None:
    begun = asyncio.Event()

    @monitor.timed
    async def work(number: int) -> int:
        if number:
            begun.set()
        else:
            await begun.wait()
        monitor.log({"number": number})
        return number

    assert list(await asyncio.gather(work(0), work(1))) == [0, 1]
    assert [event[0] for event in monitor.events] == [{"number": 1}, {"number": 0}]
    assert all(latency is not None for latency in monitor.latencies)
