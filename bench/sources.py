"""Sources of a steady rate of events, each in a thread of its own."""

import threading
import time
from abc import ABC, abstractmethod

from model_sidecar_client import Client

from bench.work import Body, connect, posting, values

TICK_SECONDS = 0.01
ROWS = 1000
FULL_SPEED_SECONDS = 5.0
LAST_FLUSH_SECONDS = 60


class Source(ABC):
    """Send events until told to stop. `due` is how many there should have been by now, `sent` how many there were.

    Events from before the steady rate are in `before`.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.sent = 0
        self.due = 0
        self.before = 0
        self.failure: Exception | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="source")

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait until everything that was begun is done."""
        self._stopping.set()
        self._thread.join()

    @property
    def dropped(self) -> int:
        """Events that this side gave up."""
        return 0

    def _run(self) -> None:
        began = time.monotonic()
        try:
            while not self._stopping.wait(TICK_SECONDS):
                self.due = int((time.monotonic() - began) * self.rate)
                # What could not be sent in a second's ticks is not made up for: the rate was not held.
                most = self.sent + int(self.rate) + 1
                while self.sent < min(self.due, most) and not self._stopping.is_set():
                    self.send()
        except Exception as error:  # noqa: BLE001  (it is told by whoever watches, whatever it is)
            self.failure = error

    @abstractmethod
    def send(self) -> None:
        """Send something and add it to `sent`."""


class Logged(Source):
    """Events that go through the client library, one by one."""

    def __init__(self, target: str, *, rate: float, features: int) -> None:
        super().__init__(rate)
        names = [f"feature_{i:03d}" for i in range(features)]
        self._rows = [dict(zip(names, row, strict=True)) for row in values(ROWS, features).tolist()]
        self._client = Client(target, flush_seconds=0.2)

    def send(self) -> None:
        """Log one event."""
        self._client.log(self._rows[self.sent % ROWS], prediction=0.5, latency_ms=12.5)
        self.sent += 1

    def stop(self) -> None:
        """Stop, and wait until the client has sent what it holds."""
        super().stop()
        self._client.flush(LAST_FLUSH_SECONDS)
        self._client.close()

    @property
    def dropped(self) -> int:
        """Events that the client gave up."""
        return sum(self._client.stats().dropped.values())


class Posted(Source):
    """Bodies that were written beforehand, one after the other over HTTP: what a sidecar alone can take."""

    def __init__(self, url: str, body: Body, *, share: float) -> None:
        """Measure how many events a second are taken flat out, to send a share of that."""
        super().__init__(0.0)
        self._body = body
        self._post = posting(connect(url), body)
        began = time.monotonic()
        while (took := time.monotonic() - began) < FULL_SPEED_SECONDS:
            self.send()
        self.full_speed = self.sent / took
        self.before, self.sent = self.sent, 0
        self.rate = share * self.full_speed

    def send(self) -> None:
        """Post the body; raises RuntimeError where it is not taken."""
        self._post()
        self.sent += self._body.events
