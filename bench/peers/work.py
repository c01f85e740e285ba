"""What every peer is given, and how it tells what it measured."""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from bench.measure import resident_mebibytes
from bench.work import values

ROUNDS = 5


def rows(count: int, features: int) -> NDArray[np.float64]:
    """Return the events that the sidecar gets too."""
    return values(count, features)


def events(count: int, features: int) -> list[dict[str, float]]:
    """Return them as objects."""
    names = [f"feature_{i:03d}" for i in range(features)]
    return [dict(zip(names, row, strict=True)) for row in rows(count, features).tolist()]


def cpu_us(work: Callable[[], object], *, events: int, rounds: int = ROUNDS) -> float:
    """Return the median CPU µs an event of a call that takes so many events."""
    return seconds(work, rounds=rounds, clock=time.process_time) / events * 1e6


def milliseconds(work: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    """Return the median time of a call."""
    return seconds(work, rounds=rounds, clock=time.perf_counter) * 1e3


def seconds(work: Callable[[], object], *, rounds: int, clock: Callable[[], float]) -> float:
    """Return the median time of a call by a clock."""
    taken = []
    for _ in range(rounds):
        began = clock()
        work()
        taken.append(clock() - began)
    return statistics.median(taken)


def tell(figures: Mapping[str, float]) -> None:
    """Print what was measured, and the resident memory, for the process that asked."""
    print(json.dumps({**figures, "resident_mib": resident_mebibytes(os.getpid())}), flush=True)


def features() -> int:
    """Return the number of features that was asked for."""
    return int(sys.argv[1])
