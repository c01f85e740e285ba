"""The client: what `Monitor.log` costs the caller, with the sidecar up, hung and stopped."""

import logging
import os
import signal
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.work import resident_mebibytes
from demo.process import sidecar
from sidecar.client import Monitor

CALLS = 200_000
PACED_CALLS = 20_000
PAUSE_SECONDS = 0.0001
Log = Callable[[Mapping[str, float], str, float, float], None]
FEATURES = {f"feature_{i:03d}": i / 7 for i in range(5)}


def main() -> None:
    """Print a table of the latencies of the call, flat out and at a pace that the sidecar keeps up with."""
    logging.disable()
    print("client: what Monitor.log takes of the caller, µs, 5 features; flat out most events are dropped, and counted")
    print(f"{'':<38}{'median':>9}{'p99.9':>9}{'most':>10}{'grown MiB':>11}")
    _row("an empty function, 10,000/s", _nothing, calls=PACED_CALLS, pause=PAUSE_SECONDS)
    _row("an empty function, flat out", _nothing, calls=CALLS)
    _row("a copy and an append, 10,000/s", _append, calls=PACED_CALLS, pause=PAUSE_SECONDS)
    _row("a copy and an append, flat out", _append, calls=CALLS)
    for scheme in ("http", "unix", "unixgram"):
        with tempfile.TemporaryDirectory() as name:
            _measure(scheme, Path(name))


def _measure(scheme: str, folder: Path) -> None:
    path = folder / "socket"
    options = {"http": [], "unix": [f"--ingest.unix-stream={path}"], "unixgram": [f"--ingest.unix-datagram={path}"]}
    with sidecar(folder, options=options[scheme]) as process:
        monitor = Monitor(process.url if scheme == "http" else f"{scheme}://{path}")
        pid = process.process.pid
        _row(f"{scheme}, sidecar up, 10,000/s", monitor.log, calls=PACED_CALLS, pause=PAUSE_SECONDS)
        _row(f"{scheme}, sidecar up, flat out", monitor.log, calls=CALLS)
        os.kill(pid, signal.SIGSTOP)
        _row(f"{scheme}, sidecar hung, 10,000/s", monitor.log, calls=PACED_CALLS, pause=PAUSE_SECONDS)
        _row(f"{scheme}, sidecar hung, flat out", monitor.log, calls=CALLS)
        os.kill(pid, signal.SIGCONT)
    _row(f"{scheme}, sidecar stopped, 10,000/s", monitor.log, calls=PACED_CALLS, pause=PAUSE_SECONDS)
    _row(f"{scheme}, sidecar stopped, flat out", monitor.log, calls=CALLS)
    monitor.close(timeout=0.1)


def _nothing(features: Mapping[str, float], prediction: str, probability: float, latency_ms: float) -> None:
    """Take what `log` takes, for the cost of calling and timing anything."""


_BOUNDED: deque[tuple[Mapping[str, float], str, float, float]] = deque(maxlen=10_000)


def _append(features: Mapping[str, float], prediction: str, probability: float, latency_ms: float) -> None:
    """Do the least that logging can: with no thread, no bound that drops, and no sidecar."""
    _BOUNDED.append((dict(features), prediction, probability, latency_ms))


def _row(name: str, log: Log, *, calls: int, pause: float = 0.0) -> None:
    before = resident_mebibytes(os.getpid())
    taken = _latencies(log, calls, pause)
    grown = resident_mebibytes(os.getpid()) - before
    microseconds = [nanoseconds / 1000 for nanoseconds in sorted(taken)]
    median, high = statistics.median(microseconds), microseconds[int(0.999 * calls)]
    print(f"  {name:<36}{median:>9.2f}{high:>9.1f}{microseconds[-1]:>10.0f}{grown:>11.1f}")


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
