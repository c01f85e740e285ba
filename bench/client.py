"""The client: what `Monitor.log` costs the caller, with the sidecar up, slow, hung and stopped."""

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

from bench.figures import Figures
from bench.measure import resident_mebibytes
from demo.process import sidecar
from sidecar.client import Monitor

CALLS = 100_000
PACED_CALLS = 10_000
PAUSE_SECONDS = 0.0001
Log = Callable[[Mapping[str, float], str, float, float], None]
FEATURES = {f"feature_{i:03d}": i / 7 for i in range(5)}


def main(figures: Figures) -> None:
    """Print a table of the latencies of the call, flat out and at a pace that the sidecar keeps up with."""
    logging.disable()
    print("client: what Monitor.log takes of the caller, µs, 5 features; flat out most events are dropped, and counted")
    print(f"{'':<38}{'median':>9}{'p99.9':>9}{'most':>10}{'grown MiB':>11}")
    _rows(figures, "nothing", "an empty function", _nothing)
    _rows(figures, "append", "a copy and an append", _append)
    for scheme in ("http", "unix", "unixgram"):
        with tempfile.TemporaryDirectory() as name:
            _measure(figures, scheme, Path(name))


def _measure(figures: Figures, scheme: str, folder: Path) -> None:
    path = folder / "socket"
    options = {"http": [], "unix": [f"--ingest.unix-stream={path}"], "unixgram": [f"--ingest.unix-datagram={path}"]}
    with sidecar(folder, options=options[scheme]) as process:
        monitor = Monitor(process.url if scheme == "http" else f"{scheme}://{path}")
        pid = process.process.pid
        _rows(figures, f"{scheme}.up", f"{scheme}, sidecar up", monitor.log)
        with stuttering(pid):
            _rows(figures, f"{scheme}.slow", f"{scheme}, sidecar slow", monitor.log)
        os.kill(pid, signal.SIGSTOP)
        _rows(figures, f"{scheme}.hung", f"{scheme}, sidecar hung", monitor.log)
        os.kill(pid, signal.SIGCONT)
    _rows(figures, f"{scheme}.stopped", f"{scheme}, sidecar stopped", monitor.log)
    monitor.close(timeout=0.1)


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


def _rows(figures: Figures, name: str, text: str, log: Log) -> None:
    for key, words, calls, pause in (
        ("paced", "10,000/s", PACED_CALLS, PAUSE_SECONDS),
        ("flat", "flat out", CALLS, 0.0),
    ):
        before = resident_mebibytes(os.getpid())
        taken = _latencies(log, calls, pause)
        grown = resident_mebibytes(os.getpid()) - before
        microseconds = [nanoseconds / 1000 for nanoseconds in sorted(taken)]
        median, high = statistics.median(microseconds), microseconds[int(0.999 * calls)]
        start = f"client.{name}.{key}"
        figures[f"{start}.median_us"], figures[f"{start}.p999_us"] = median, high
        figures[f"{start}.grown_mib"] = grown
        label = f"{text}, {words}"
        print(f"  {label:<36}{median:>9.2f}{high:>9.1f}{microseconds[-1]:>10.0f}{grown:>11.1f}", flush=True)


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
