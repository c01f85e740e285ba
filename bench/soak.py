"""Soak: a steady rate of events to a real sidecar, through the client library, and what that does to both.

    python -m bench soak --minutes 60 --rate 1000
    python -m bench soak --minutes 60 --serve-arg=--log.level=debug

Each line is an interval: resident memory, events sent, counted, dropped and refused so far, CPU, and the time of the
slowest scrape. It ends by itself, with status 1 if

- an event was dropped or refused by either side, or what the sidecar counted is not what was sent;
- the rate was not held: fewer than 95 % of the events that were due were sent;
- a scrape failed, or the sidecar ended;
- the sidecar's memory grew: the median of the last third of the intervals is more than 4 MiB above the median of the
  third before it.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import cpu_seconds, resident_mebibytes
from bench.work import running_sidecar, samples, total, values
from demo.process import SidecarProcess
from sidecar.client import Monitor

GROWTH_MIB = 4.0
HELD = 0.95
TICK_SECONDS = 0.01
ROWS = 1000
INTERVALS = 60
LAST_FLUSH_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Sample:
    """What one interval ended with; numbers of events are since the start."""

    minutes: float
    resident_mib: float
    client_mib: float
    due: int
    sent: int
    counted: int
    dropped: int
    refused: int
    cpu_share: float
    scrape_ms: float


def verdict(found: Sequence[Sample]) -> list[str]:
    """Say what is wrong, a sentence each; nothing if all is well. The last sample is after the last event."""
    last, wrong = found[-1], []
    if last.dropped or last.refused:
        wrong.append(f"{last.dropped} events were dropped and {last.refused} refused")
    if last.counted != last.sent:
        wrong.append(f"{last.sent} events were sent, {last.counted} counted")
    if last.sent < HELD * last.due:
        wrong.append(f"{last.due} events were due, {last.sent} were sent")
    third = len(found) // 3
    if third:
        later = statistics.median(sample.resident_mib for sample in found[-third:])
        before = statistics.median(sample.resident_mib for sample in found[-2 * third : -third])
        if later - before > GROWTH_MIB:
            wrong.append(f"memory grew from {before:.1f} to {later:.1f} MiB")
    return wrong


class Traffic:
    """Log events at a steady rate, in a thread of its own, until told to stop."""

    def __init__(self, monitor: Monitor, *, rate: float, features: int) -> None:
        names = [f"feature_{i:03d}" for i in range(features)]
        self._rows = [dict(zip(names, row, strict=True)) for row in values(ROWS, features).tolist()]
        self._monitor = monitor
        self._rate = rate
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")
        self.sent = 0
        self.due = 0

    def start(self) -> None:
        """Begin to log."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait until it has."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stopping.wait(TICK_SECONDS):
            self.due = int((time.monotonic() - began) * self._rate)
            # What could not be sent in a second's ticks is not made up for: the rate was not held.
            for _ in range(min(self.due - self.sent, int(self._rate) + 1)):
                if self._stopping.is_set():
                    return
                self._monitor.log(self._rows[self.sent % ROWS], prediction=0.5, latency_ms=12.5)
                self.sent += 1


def _watch(process: SidecarProcess, traffic: Traffic, monitor: Monitor, *, began: float, seconds: float) -> Sample:
    """Wait for an interval, scraping as Prometheus would, and take a sample at its end."""
    pid, slowest, cpu, since = process.process.pid, 0.0, cpu_seconds(process.process.pid), time.monotonic()
    while (left := since + seconds - time.monotonic()) > 0:
        time.sleep(min(left, 5.0))
        before = time.perf_counter()
        samples(process.url)
        slowest = max(slowest, (time.perf_counter() - before) * 1e3)
    share = (cpu_seconds(pid) - cpu) / (time.monotonic() - since)
    return _sample(process, traffic, monitor, began=began, share=share, scrape_ms=slowest)


def _sample(
    process: SidecarProcess, traffic: Traffic, monitor: Monitor, *, began: float, share: float, scrape_ms: float
) -> Sample:
    found, stats = samples(process.url), monitor.stats()
    return Sample(
        minutes=(time.monotonic() - began) / 60,
        resident_mib=resident_mebibytes(process.process.pid),
        client_mib=resident_mebibytes(int(Path("/proc/self").resolve().name)),
        due=traffic.due,
        sent=traffic.sent,
        counted=int(total(found, "model_sidecar_events_total")),
        dropped=int(total(found, "model_sidecar_events_dropped_total")) + sum(stats.dropped.values()),
        refused=int(total(found, "model_sidecar_events_rejected_total")),
        cpu_share=share,
        scrape_ms=scrape_ms,
    )


def _print(sample: Sample) -> None:
    print(
        f"{sample.minutes:>8.2f}{sample.resident_mib:>10.1f}{sample.client_mib:>10.1f}{sample.sent:>13,}"
        f"{sample.counted:>13,}{sample.dropped:>11,}{sample.refused:>9,}{sample.cpu_share:>8.1%}{sample.scrape_ms:>10.1f}",
        flush=True,
    )


def run(*, minutes: float, rate: float, features: int, transport: str, serve_arguments: Sequence[str]) -> list[Sample]:
    """Send at the rate for so long; returns the samples, the last of them after everything was sent."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "socket"
        listening = {"unix": "stream", "unixgram": "datagram"}
        options = [f"--ingest.unix-{listening[transport]}={path}"] if transport in listening else []
        with running_sidecar(features, options=[*options, *serve_arguments], folder=folder) as process:
            monitor = Monitor(process.url if transport == "http" else f"{transport}://{path}", flush_seconds=0.2)
            traffic, began = Traffic(monitor, rate=rate, features=features), time.monotonic()
            traffic.start()
            try:
                intervals = max(6, min(INTERVALS, round(minutes))) if minutes < INTERVALS else round(minutes)
                for _ in range(intervals):
                    found.append(_watch(process, traffic, monitor, began=began, seconds=minutes * 60 / intervals))
                    _print(found[-1])
            finally:
                traffic.stop()
                monitor.flush(LAST_FLUSH_SECONDS)
            found.append(_settled(process, traffic, monitor, began=began))
            _print(found[-1])
            monitor.close()
    return found


def _settled(process: SidecarProcess, traffic: Traffic, monitor: Monitor, *, began: float) -> Sample:
    """Take the last sample when the sidecar has taken what the sockets held, which over datagrams nobody says."""
    until = time.monotonic() + 10
    while True:
        sample = _sample(process, traffic, monitor, began=began, share=0.0, scrape_ms=0.0)
        if sample.counted + sample.dropped + sample.refused >= sample.sent or time.monotonic() > until:
            return sample
        time.sleep(0.05)


def main(arguments: Sequence[str]) -> int:
    """Read the options, run and judge; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60, help="how long (default: 60)")
    parser.add_argument("--rate", type=float, default=1000, help="events a second (default: 1000)")
    parser.add_argument("--features", type=int, default=200, help="features of each event (default: 200)")
    parser.add_argument("--transport", choices=("http", "unix", "unixgram"), default="http")
    parser.add_argument(
        "--serve-arg", action="append", default=[], metavar="ARG", help="an argument for `serve`; may be repeated"
    )
    args = parser.parse_args(arguments)
    print(f"soak: {args.features} features, 3 windows, {args.rate:,.0f} events a second by {args.transport}")
    print(
        f"{'minute':>8}{'MiB':>10}{'client':>10}{'sent':>13}{'counted':>13}{'dropped':>11}{'refused':>9}{'CPU':>8}"
        f"{'scrape ms':>10}",
        flush=True,
    )
    try:
        found = run(
            minutes=args.minutes,
            rate=args.rate,
            features=args.features,
            transport=args.transport,
            serve_arguments=args.serve_arg,
        )
    except (OSError, RuntimeError) as error:  # a scrape that failed, a sidecar that ended
        print(f"failed: {error}", file=sys.stderr)
        return 1
    wrong = verdict(found)
    for sentence in wrong:
        print(f"failed: {sentence}", file=sys.stderr)
    if not wrong:
        print("passed: every event was counted, none was dropped or refused, and memory did not grow")
    return 1 if wrong else 0
