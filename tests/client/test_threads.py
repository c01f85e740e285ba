import ctypes
import http.client
import threading
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from model_sidecar_client import Client, Stats
from model_sidecar_client.queued import Mark

from tests.client.support import EVENT, Listening, client_to, total
from tests.plugins.serving import get, wait_until


def test_threads_share_a_client_and_lose_nothing_uncounted(up: Listening) -> None:
    with client_to(up.targets["http"], batch_events=50, queue_events=500) as client:

        def work() -> None:
            for _ in range(5000):
                client.log(EVENT)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush(30)
        assert total(client.stats()) == 20_000
        assert client.stats().queued == 0
        assert get(up.process.url, "/health").status == http.client.OK


def test_events_that_find_the_queue_full_are_each_counted_once_however_often_they_are_read(tmp_path: Path) -> None:
    with closing(Client(f"unix://{tmp_path / 'nobody'}", queue_events=100)) as client:

        def work() -> None:
            for _ in range(20_000):
                client.log(EVENT)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        seen = []
        while any(thread.is_alive() for thread in threads):
            seen.append(client.stats().dropped.get("queue_full", 0))
        assert seen == sorted(seen)
        assert total(client.stats()) == 80_000
        assert client.stats() == client.stats()


def test_events_that_come_before_the_thread_waits_are_not_overlooked(
    up: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_sidecar_client.pace._LONGEST_SECONDS", 3600.0)
    with closing(Client(up.targets["http"], queue_events=5, flush_seconds=3600.0)) as client:

        def fill() -> None:
            for _ in range(5):
                client.log(EVENT)

        class Overtaken(deque[Any]):
            """A queue that another thread fills just after the one that sends has looked whether to wait."""

            def __len__(self) -> int:
                length = super().__len__()
                if threading.current_thread() is client._delivery.thread and about_to_wait.is_set():
                    about_to_wait.clear()
                    thread = threading.Thread(target=fill)
                    thread.start()
                    thread.join()
                return length

        client.log(EVENT)
        assert client.flush()
        wait_until(lambda: client._delivery.more_at == client._delivery.wake_at)
        about_to_wait = threading.Event()
        stats = client._delivery.counts.stats  # the last that the thread asks for before it waits

        def last_stats(*, queued: int) -> Stats:
            if threading.current_thread() is client._delivery.thread:
                monkeypatch.setattr(client._delivery.counts, "stats", stats)
                about_to_wait.set()
            return stats(queued=queued)

        monkeypatch.setattr(client._delivery.counts, "stats", last_stats)
        client._delivery.queue = Overtaken()
        client._delivery._rouse()
        wait_until(lambda: client.stats().accepted == 6)


def test_a_full_queue_asks_again_for_a_thread_that_was_not_to_be_had(
    up: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_to(up.targets["http"], queue_events=5) as client:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError("can't start new thread")))
            for _ in range(5):
                client.log(EVENT)
        client.log(EVENT)
        wait_until(lambda: client.stats().accepted == 5)
        assert client.stats().dropped == {"queue_full": 1}


def test_first_events_of_several_threads_are_each_flushed(up: Listening) -> None:
    def work(client: Client, start: threading.Barrier, flushed: list[bool]) -> None:
        start.wait()
        client.log(EVENT)
        flushed.append(client.flush(30))

    for _ in range(50):
        with client_to(up.targets["unix_datagram"]) as client:
            start, flushed = threading.Barrier(4), list[bool]()
            threads = [threading.Thread(target=work, args=(client, start, flushed)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert flushed == [True] * 4
            assert client.stats().accepted == 4


def test_flushing_again_and_again_takes_no_room_of_events(tmp_path: Path) -> None:
    with client_to(f"unix://{tmp_path / 'nobody'}", queue_events=100) as client:
        client.log(EVENT)
        for _ in range(200):
            assert not client.flush(0)
        assert len(client._delivery.queue) <= 2
        client.log(EVENT)
        assert (client.stats().queued, client.stats().dropped) == (2, {})


def test_who_waits_for_a_flush_goes_on_when_the_client_closes(tmp_path: Path) -> None:
    client = Client(f"unix://{tmp_path / 'nobody'}")
    for _ in range(2000):
        client.log(EVENT)
    flushed: list[bool] = []
    thread = threading.Thread(target=lambda: flushed.append(client.flush(60)), daemon=True)
    thread.start()
    wait_until(lambda: any(isinstance(item, Mark) for item in client._delivery.queue.copy()))
    client.close(0)
    thread.join(30)
    assert flushed == [True]
    assert client.stats().dropped == {"closed": 2000}


def test_an_event_that_a_closing_client_did_not_see_is_dropped() -> None:
    client = Client("http://127.0.0.1:9")
    queue = client._delivery.queue

    class Late(deque[Any]):
        def append(self, event: Any) -> None:
            client.close(0)
            queue.append(event)

        def __len__(self) -> int:
            return len(queue)

    client._delivery.queue = Late()
    client._delivery.more_at = 1
    client.log(EVENT)
    client._delivery.queue = queue
    assert (client.stats().queued, client.stats().dropped) == (0, {"closed": 1})


def test_what_is_logged_while_the_client_closes_is_accounted_for(up: Listening) -> None:
    client = Client(up.targets["http"])
    logged = 0
    closed = threading.Event()

    def work() -> None:
        nonlocal logged
        while not closed.is_set() or logged < 2000:
            client.log(EVENT)
            logged += 1

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: logged > 1000)
    client.close()
    closed.set()
    thread.join()
    client.log(EVENT)
    assert total(client.stats()) == logged + 1
    assert client.stats().dropped["closed"] >= 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_killed_is_followed_by_another(up: Listening) -> None:
    with client_to(up.targets["http"]) as client:
        client.log(EVENT)
        assert client.flush(30)
        thread = client._delivery.thread
        assert thread
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
        thread.join(30)
        assert not thread.is_alive()
        client.log(EVENT)
        assert client.flush(30)
        assert client.stats().accepted == total(client.stats()) == 2
