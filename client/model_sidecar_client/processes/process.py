"""The process: its clients reset in the child of a fork, and send what they hold when it ends."""

import atexit
import os
import sys
import weakref
from typing import Protocol


class Watched(Protocol):
    """Receives the events of a process: forks and the end."""

    def begin_in_child(self) -> None:
        """Reset in the child of a fork, where only the forking thread exists."""

    def close(self) -> None:
        """End, in bounded time."""


_WATCHED: "weakref.WeakSet[Watched]" = weakref.WeakSet()
_registered = False
_finalized_pid = 0


def watch(watched: Watched) -> None:
    """Notify this object of forks and of the end of the process, while it is referenced elsewhere."""
    global _registered
    _WATCHED.add(watched)
    if not _registered:
        _registered = True
        os.register_at_fork(after_in_child=_begin_in_child)
        atexit.register(_close)


def close_with_multiprocessing() -> None:
    """Close all with the process where it is a worker of multiprocessing, which runs nothing of `atexit`."""
    global _finalized_pid
    if "multiprocessing.util" in sys.modules and _finalized_pid != os.getpid():
        from multiprocessing.util import Finalize

        _finalized_pid = os.getpid()
        Finalize(None, _close, exitpriority=0)


def _begin_in_child() -> None:
    for watched in list(_WATCHED):
        watched.begin_in_child()


def _close() -> None:
    for watched in list(_WATCHED):
        watched.close()
