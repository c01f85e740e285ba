"""Long work in slices on the event loop, so that others run in between.

Work is a generator that yields where it may pause. Numbers that must fit together are read without a pause: mostly by a
function that reads them and returns the generator that computes with them.
"""

import asyncio
import time
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that may pause where it yields, and returns its result."""

SLICE_SECONDS = 0.0002
"""Shortest slice: work pauses at its next yield after it, while the loop is idle."""

LONGEST_SLICE_SECONDS = 0.05
"""Longest slice. A slice lasts as long as the last pause, so that work gets half of the time."""


def at_once(steps: Steps[T]) -> T:
    """Do all of the work without a pause.

    >>> def work():
    ...     yield
    ...     return 7
    >>> at_once(work())
    7
    """
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


async def in_slices(steps: Steps[T]) -> T:
    """Do the work with pauses, in which others have as much time as the work."""
    until = time.perf_counter() + SLICE_SECONDS
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if (paused := time.perf_counter()) >= until:
            await asyncio.sleep(0)
            now = time.perf_counter()
            until = now + min(max(now - paused, SLICE_SECONDS), LONGEST_SLICE_SECONDS)
