"""Measuring: CPU time of calls and of whole processes, in rounds taken in turn, and the median of the rounds."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROUNDS = 7

Work = Callable[[], object]
Clock = Callable[[], float]


def cpu_seconds(process: int) -> float:
    """Return user and system time of all threads of a process so far, to the nanosecond.

    Threads that have ended are not in it; servers measured here keep theirs.
    """
    total = 0
    for task in Path(f"/proc/{process}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def in_turn(works: Mapping[str, tuple[Work, Clock]], *, events: int, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median µs an event of each work by its clock; one round each before the next, the first unmeasured."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, (work, clock) in works.items():
            before = clock()
            work()
            if number:
                found[name].append((clock() - before) / events * 1e6)
    return {name: statistics.median(values) for name, values in found.items()}


def here(work: Work) -> tuple[Work, Clock]:
    """Measure a work by the CPU time of this process."""
    return work, time.process_time


def repeated(work: Work, times: int) -> Work:
    """Return the work, done so many times."""

    def all_of_them() -> None:
        for _ in range(times):
            work()

    return all_of_them


def median_milliseconds(work: Work, *, rounds: int = 15) -> float:
    """Return the median time of a call by the wall clock, after one that is not measured."""
    return medians_milliseconds([work], rounds=rounds)[0]


def medians_milliseconds(works: Sequence[Work], *, rounds: int = 15) -> list[float]:
    """Return the median time of each call by the wall clock, taken in turn, after a round that is not measured."""
    times: list[list[float]] = [[] for _ in works]
    for number in range(rounds + 1):
        for work, found in zip(works, times, strict=True):
            began = time.perf_counter()
            work()
            if number:
                found.append((time.perf_counter() - began) * 1000)
    return [statistics.median(found) for found in times]


def resident_mebibytes(process: int) -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{process}/status has no VmRSS")
