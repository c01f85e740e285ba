"""The client: what `Client.log` costs the caller, with the sidecar up, slow, hung and stopped."""

import logging
import multiprocessing
import os
import signal
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from model_sidecar_client import Client

from bench.figures import Figures
from bench.measure import resident_mebibytes
from tools.process import sidecar

CALLS = 100_000
PACED_CALLS = 10_000
PAUSE_SECONDS = 0.0001
ROUNDS = 3
PACES = {"paced": ("10,000/s", PACED_CALLS, PAUSE_SECONDS), "flat": ("flat out", CALLS, 0.0)}
TEXTS = {"nothing": "an empty function", "append": "a copy and an append"}

Taken = tuple[float, float, float, float]
"""Of one round: median, 99.9th percentile and longest, in µs, and what the process grew by, in MiB."""

Row = tuple[tuple[str, str], Taken]
"""What was called, at which pace, and what that took."""

Log = Callable[[Mapping[str, float], str, float, float], None]
FEATURES = {f"feature_{i:03d}": i / 7 for i in range(5)}


def main(figures: Figures) -> None:
    """Print a table of the latencies of the call, flat out and at a pace that the sidecar keeps up with.

    All of it is done in rounds. Times are the median of the rounds, as in the other benchmarks, and growth the most.
    """
    logging.disable()
    print("client: what Client.log takes of the caller, µs, 5 features; flat out most events are dropped, and counted")
    print(f"{'':<38}{'median':>9}{'p99.9':>9}{'most':>10}{'grown MiB':>11}")
    taken: dict[tuple[str, str], list[Taken]] = {}
    for _ in range(ROUNDS):
        for called, row in _round():
            taken.setdefault(called, []).append(row)
    for (name, pace), rounds in taken.items():
        start, words = f"client.{name}.{pace}", PACES[pace][0]
        median, high, most = (statistics.median(values) for values in list(zip(*rounds, strict=True))[:3])
        grown = max(row[3] for row in rounds)
        figures[f"{start}.median_us"], figures[f"{start}.p999_us"] = median, high
        figures[f"{start}.grown_mib"] = grown
        label = f"{TEXTS.get(name) or ', sidecar '.join(name.split('.'))}, {words}"
        print(f"  {label:<36}{median:>9.2f}{high:>9.1f}{most:>10.0f}{grown:>11.1f}", flush=True)


def _round() -> Iterator[Row]:
    yield from _rows("nothing", _nothing)
    yield from _rows("append", _append)
    for scheme in ("http", "unix", "unixgram"):
        with tempfile.TemporaryDirectory() as name:
            yield from _measure(scheme, Path(name))


def _measure(scheme: str, folder: Path) -> Iterator[Row]:
    path = folder / "socket"
    options = {"http": [], "unix": [f"--ingest.unix-stream={path}"], "unixgram": [f"--ingest.unix-datagram={path}"]}
    with sidecar(folder, options=options[scheme]) as process:
        client = Client(process.url if scheme == "http" else f"{scheme}://{path}")
        pid = process.process.pid
        yield from _rows(f"{scheme}.up", client.log)
        with stuttering(pid):
            yield from _rows(f"{scheme}.slow", client.log)
        os.kill(pid, signal.SIGSTOP)
        yield from _rows(f"{scheme}.hung", client.log)
        os.kill(pid, signal.SIGCONT)
    yield from _rows(f"{scheme}.stopped", client.log)
    client.close(timeout=0.1)


@contextmanager
def stuttering(pid: int) -> Iterator[None]:
    """Let a process run for 2 of every 100 ms, by another process that stops and continues it."""
    slowing = multiprocessing.get_context("spawn").Process(target=_stutter, args=(pid,), daemon=True)
    slowing.start()
    try:
        yield
    finally:
        slowing.terminate()
        slowing.join()
        os.kill(pid, signal.SIGCONT)


def _stutter(pid: int) -> None:
    while True:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.098)
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.002)


def _nothing(features: Mapping[str, float], prediction: str, probability: float, latency_ms: float) -> None:
    """Take what `log` takes, for the cost of calling and timing anything."""


_BOUNDED: deque[tuple[Mapping[str, float], str, float, float]] = deque(maxlen=10_000)


def _append(features: Mapping[str, float], prediction: str, probability: float, latency_ms: float) -> None:
    """Do the least that logging can: with no thread, no bound that drops, and no sidecar."""
    _BOUNDED.append((dict(features), prediction, probability, latency_ms))


def _rows(name: str, log: Log) -> Iterator[Row]:
    for pace, (_, calls, pause) in PACES.items():
        before = resident_mebibytes(os.getpid())
        microseconds = sorted(nanoseconds / 1000 for nanoseconds in _latencies(log, calls, pause))
        grown = resident_mebibytes(os.getpid()) - before
        median, high = statistics.median(microseconds), microseconds[int(0.999 * calls)]
        yield (name, pace), (median, high, microseconds[-1], grown)


def _latencies(log: Log, calls: int, pause: float) -> list[int]:
    """Return what every call took, in nanoseconds."""
    clock, features = time.perf_counter_ns, FEATURES
    taken = [0] * calls
    for i in range(calls):
        if pause:
            time.sleep(pause)
        began = clock()
        log(features, "legitimate", 0.12, 12.5)
        taken[i] = clock() - began
    return taken
