import asyncio
import contextvars
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from model_sidecar_client import Client
from model_sidecar_client.event import Event, Label

from tests.client.support import EVENT


class Recorded(Client):
    """A client that keeps what it would send."""

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
def client() -> Iterator[Recorded]:
    made = Recorded()
    yield made
    made.close()


def test_events_of_a_block_carry_its_latency_unless_they_have_their_own(client: Recorded) -> None:
    with client.measure():
        client.log(EVENT)
        client.log(EVENT, latency_ms=7000.0)
        assert client.events == []
    first, second = client.latencies
    assert 0 <= first < 7000
    assert second == 7000
    client.log(EVENT)
    assert client.latencies[2] is None
    assert client.errors == [False] * 3


def test_a_block_that_fails_makes_its_events_errors(client: Recorded) -> None:
    with suppress(ZeroDivisionError), client.measure():
        client.log(EVENT)
        raise ZeroDivisionError
    assert client.errors == [True]


def test_a_failure_without_events_is_an_event_and_a_success_is_none(client: Recorded) -> None:
    with client.measure():
        pass
    assert client.events == []
    with suppress(ZeroDivisionError), client.measure():
        raise ZeroDivisionError
    [(features, _, _, latency, error, _)] = client.events
    assert (features, error) == (None, True)
    assert latency >= 0


def test_what_is_cancelled_is_no_failure(client: Recorded) -> None:
    with pytest.raises(asyncio.CancelledError), client.measure():
        raise asyncio.CancelledError
    assert client.events == []


def test_a_failure_that_passes_through_several_blocks_is_one_event(client: Recorded) -> None:
    with suppress(ZeroDivisionError), client.measure(), client.measure():
        raise ZeroDivisionError
    assert client.errors == [True]


def test_blocks_of_other_clients_are_theirs(client: Recorded) -> None:
    other = Recorded()
    with client.measure(), other.measure():
        client.log(EVENT)
        other.log(EVENT)
    other.close()
    assert len(client.events) == len(other.events) == 1


def test_a_block_holds_no_more_than_the_queue_would(client: Recorded) -> None:
    with client.measure():
        for _ in range(5):
            client.log(EVENT)
        assert len(client.events) == 2
    assert len(client.events) == 5


def test_a_thread_that_goes_on_after_the_block_logs_for_itself(client: Recorded) -> None:
    ended = threading.Event()

    def work() -> None:
        ended.wait()
        client.log(EVENT)

    with client.measure():
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
        thread.start()
    ended.set()
    thread.join()
    assert client.latencies == [None]


def test_functions_are_timed_and_stay_what_they_are(client: Recorded) -> None:
    @client.timed
    def double(x: int) -> int:
        """Double it."""
        client.log(EVENT)
        return 2 * x

    assert (double(4), double.__name__, double.__doc__) == (8, "double", "Double it.")
    assert client.latencies[0] >= 0


async def test_coroutine_functions_are_timed_until_they_return_each_for_itself(client: Recorded) -> None:
    begun = asyncio.Event()

    @client.timed
    async def work(number: int) -> int:
        if number:
            begun.set()
        else:
            await begun.wait()
        client.log({"number": number})
        return number

    assert list(await asyncio.gather(work(0), work(1))) == [0, 1]
    assert [event[0] for event in client.events] == [{"number": 1}, {"number": 0}]
    assert all(latency is not None for latency in client.latencies)
