"""SIGTERM, which ends a process without `atexit` unless somebody handles it: send what is queued before it does.

The handler is put in only where that is safe. Where SIGTERM ends the process, the handler sends what is queued, for two
seconds at most, and then lets it. Where somebody handles it in Python, the handler sends at once from then on, without
waiting, and calls theirs. Where it is ignored, or handled by other than Python, there is none of ours.
"""

from __future__ import annotations

import _thread
import logging
import os
import signal
import sys
import weakref
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

EXIT_SECONDS = 2.0
"""How long the end of the process may be held up to send what is queued."""

log = logging.getLogger("model_sidecar_client")


class Sending(Protocol):
    """What has something to send before the process ends."""

    def flush(self, timeout: float) -> bool:
        """Send what is queued; returns whether it was sent in time."""

    def hurry(self) -> None:
        """Send at once from now on, without waiting."""


_SENDING: weakref.WeakSet[Sending] = weakref.WeakSet()


def send_before_sigterm(sending: Sending) -> None:
    """Send what this object has when SIGTERM comes, for as long as somebody else holds it."""
    _SENDING.add(sending)
    before = signal.getsignal(signal.SIGTERM)
    if isinstance(before, _Handler) or not (callable(before) or _ends_the_process(before)):
        return
    try:
        signal.signal(signal.SIGTERM, _Handler(before))
    except ValueError:  # this is not the main thread
        problem = sigterm_problem()
        if problem is not None:
            log.warning(problem)


def sigterm_problem() -> str | None:
    """Return a sentence where SIGTERM ends the process before anything is sent."""
    if _ends_the_process(signal.getsignal(signal.SIGTERM)):
        return (
            "SIGTERM ends this process before what is queued is sent: make the client in the main thread, or close it"
        )
    return None


def _ends_the_process(before: Any) -> bool:
    return before is signal.SIG_DFL and not _caught_beside_python()


def _caught_beside_python() -> bool:
    """Tell whether the kernel knows of a handler that Python does not: of a server that embeds it."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    except (OSError, ValueError, IndexError):
        return False  # not Linux
    return bool(caught >> (signal.SIGTERM - 1) & 1)


class _Handler:
    """Handle SIGTERM before whoever handled it before."""

    def __init__(self, before: Any) -> None:
        self._before = before

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if callable(self._before):
            for sending in list(_SENDING):
                sending.hurry()
            self._before(number, frame)
            return
        try:
            self._end(number)
        except Exception:
            if "greenlet" not in sys.modules:
                raise
            # gevent and eventlet let nobody wait in their hub, where handlers run while all greenlets wait. This starts
            # a greenlet there, without waiting for it as `threading` does.
            _thread.start_new_thread(self._end, (number,))

    def _end(self, number: int) -> None:
        for sending in list(_SENDING):
            if not sending.flush(EXIT_SECONDS):
                log.warning("SIGTERM: events are lost that could not be sent in %g seconds", EXIT_SECONDS)
        signal.signal(number, self._before)
        os.kill(os.getpid(), number)
        signal.signal(number, self)  # it goes on: the first process of a container does
