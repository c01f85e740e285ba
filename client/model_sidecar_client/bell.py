"""A bell: what the thread that sends waits for, and anybody may ring, in a signal handler too."""

import threading
from contextlib import suppress


class Bell:
    """Wait for a ring, which may come first; of several rings before a wait, one is heard.

    A lock is the cheapest thing to wait on that a signal handler may release. It is of the kind that `threading` gives
    when the bell is made, so make it with the thread that waits: after gevent or eventlet has replaced `threading`,
    that thread is a greenlet, and a lock made earlier would hold up the whole process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Let one wait end, this one or the next."""
        with suppress(RuntimeError):  # it has been rung already
            self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Wait for a ring; returns whether there was one in time."""
        return self._lock.acquire(timeout=seconds)
