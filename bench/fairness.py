"""Fairness: senders as fast as they can go and a scrape every second; how long either waits for its answer.

`python -m bench fairness` has 50 senders of bodies of 25 events (NDJSON) with 1,000 features for 30 seconds.
"""

import http.client
import multiprocessing
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

import numpy as np

from bench.work import bodies, running_sidecar

FEATURES, EVENTS, SENDERS, SECONDS = 1000, 25, 50, 30.0
GIVEN_UP_SECONDS = 10.0
"""As Prometheus does, by its default for `scrape_timeout`."""


def main() -> None:
    """Print how many scrapes were answered, and what scrapes and POSTs waited."""
    with running_sidecar(FEATURES, bins=10) as process:
        alone = [scrape(process.url) for _ in range(10)]
        with flat_out(process.url, bodies(FEATURES, events=EVENTS)[2].content, senders=SENDERS) as load:
            under_load = _scrape_every_second(process.url)
    answered = [seconds for seconds in under_load if seconds is not None]
    statuses = dict(Counter(status for status, _ in load.answers))
    print(f"{SENDERS} senders of {EVENTS} events with {FEATURES} features, a scrape every second for {SECONDS:.0f} s")
    print(f"  scrapes answered   {len(answered)} of {len(under_load)}")
    print(f"  scrape alone       {_times([s for s in alone if s is not None])}")
    print(f"  scrape under load  {_times(answered)}")
    posts = [seconds for _, seconds in load.answers]
    print(f"  POST               {_times(posts)}   {len(posts) / SECONDS:,.0f} a second, by status {statuses}")


@dataclass
class Load:
    """What senders were answered: status and seconds, once they have stopped."""

    answers: list[tuple[int, float]] = field(default_factory=list)


@contextmanager
def flat_out(url: str, ndjson: bytes, *, senders: int) -> Iterator[Load]:
    """Have senders, in a process of their own, send a body again and again until the block ends."""
    ours, theirs = multiprocessing.Pipe()
    sending = multiprocessing.Process(target=_send, args=(url, ndjson, senders, theirs))
    sending.start()
    load = Load()
    try:
        ours.recv()
        yield load
    finally:
        ours.send(None)
        load.answers += ours.recv()
        sending.join()


def _times(seconds: Sequence[float]) -> str:
    if not seconds:
        return "none"
    p50, p99, most = np.quantile(seconds, (0.5, 0.99, 1)) * 1000
    return f"p50 {p50:8.1f} ms   p99 {p99:8.1f} ms   most {most:8.1f} ms"


def _scrape_every_second(url: str) -> list[float | None]:
    """Scrape until time is over, one scrape at a time, and return what each took, None where it was given up."""
    found: list[float | None] = []
    began = time.monotonic()
    while (now := time.monotonic()) < began + SECONDS:
        found.append(scrape(url))
        time.sleep(max(0.0, now + 1 - time.monotonic()))
    return found


def scrape(url: str) -> float | None:
    """Return how long a scrape takes, None where it is given up or refused."""
    began = time.perf_counter()
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=GIVEN_UP_SECONDS)) as connection:
        try:
            connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            answer.read()
        except TimeoutError:
            return None
    return time.perf_counter() - began if answer.status == 200 else None


def _send(url: str, ndjson: bytes, count: int, controller: Connection) -> None:
    parts = urlsplit(url)
    fields = f"Host: {parts.netloc}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {len(ndjson)}"
    request = f"POST /monitor HTTP/1.1\r\n{fields}\r\n\r\n".encode() + ndjson
    selector = selectors.DefaultSelector()
    senders = [_Sender((parts.hostname or "", parts.port or 80), request, selector) for _ in range(count)]
    controller.send(None)
    while not controller.poll():
        for key, _ in selector.select(timeout=0.1):
            key.data()
    for sender in senders:
        sender.finish()
    controller.send([answer for sender in senders for answer in sender.answers])


class _Sender:
    """One connection: sends a request, and the next one once it has its answer."""

    def __init__(self, address: tuple[str, int], request: bytes, selector: selectors.DefaultSelector) -> None:
        self.connection = socket.create_connection(address)
        self.connection.setblocking(False)
        self.answers: list[tuple[int, float]] = []
        self._request = request
        self._selector = selector
        self._began = time.perf_counter()
        self._sent = 0
        selector.register(self.connection, selectors.EVENT_WRITE, self._write)

    def finish(self) -> None:
        """Have the last request answered, so that it is known what became of it."""
        self.connection.setblocking(True)
        self.connection.sendall(memoryview(self._request)[self._sent :])
        self._read()
        self.connection.close()

    def _write(self) -> None:
        self._sent += self.connection.send(memoryview(self._request)[self._sent :])
        if self._sent == len(self._request):
            self._selector.modify(self.connection, selectors.EVENT_READ, self._read)

    def _read(self) -> None:
        status = int(self.connection.recv(65536)[9:12])
        now = time.perf_counter()
        self.answers.append((status, now - self._began))
        self._began, self._sent = now, 0
        self._selector.modify(self.connection, selectors.EVENT_WRITE, self._write)
