"""Soak: a steady rate of events to a real sidecar, and what that does to it and to whoever sends.

    python -m bench soak --minutes 60 --rate 1000
    python -m bench soak --minutes 60 --share 0.5 --form msgpack --serve-arg=--storage.path=/var/tmp/soak

With `--rate`, events are logged through the client library. With `--share`, bodies of 500 events that were written
beforehand are posted, at that share of the rate at which the sidecar takes them flat out.

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
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import cpu_seconds, resident_mebibytes
from bench.sources import Logged, Posted, Source
from bench.work import KEYS, bodies, running_sidecar, samples, total
from tools.process import SidecarProcess

GROWTH_MIB = 4.0
HELD = 0.95
INTERVALS = 60


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


def _watch(process: SidecarProcess, source: Source, *, began: float, seconds: float) -> Sample:
    """Wait for an interval, scraping as Prometheus would, and take a sample at its end."""
    pid, slowest, cpu, since = process.process.pid, 0.0, cpu_seconds(process.process.pid), time.monotonic()
    while (left := since + seconds - time.monotonic()) > 0:
        time.sleep(min(left, 5.0))
        before = time.perf_counter()
        samples(process.url)
        slowest = max(slowest, (time.perf_counter() - before) * 1e3)
    share = (cpu_seconds(pid) - cpu) / (time.monotonic() - since)
    return _sample(process, source, began=began, share=share, scrape_ms=slowest)


def _sample(process: SidecarProcess, source: Source, *, began: float, share: float, scrape_ms: float) -> Sample:
    if source.failure is not None:
        raise RuntimeError(f"sending failed: {source.failure}")
    found = samples(process.url)
    return Sample(
        minutes=(time.monotonic() - began) / 60,
        resident_mib=resident_mebibytes(process.process.pid),
        client_mib=resident_mebibytes(int(Path("/proc/self").resolve().name)),
        due=source.due,
        sent=source.sent,
        counted=int(total(found, "model_sidecar_events_total")) - source.before,
        dropped=int(total(found, "model_sidecar_events_dropped_total")) + source.dropped,
        refused=int(total(found, "model_sidecar_events_rejected_total")),
        cpu_share=share,
        scrape_ms=scrape_ms,
    )


def _print(sample: Sample) -> None:
    print(
        f"{sample.minutes:>8.2f}{sample.resident_mib:>10.1f}{sample.client_mib:>10.1f}{sample.sent:>15,}"
        f"{sample.counted:>15,}{sample.dropped:>9,}{sample.refused:>9,}{sample.cpu_share:>8.1%}{sample.scrape_ms:>10.1f}",
        flush=True,
    )


@contextmanager
def _running(args: argparse.Namespace) -> Iterator[tuple[SidecarProcess, Source]]:
    """Run a sidecar, and make what sends to it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "socket"
        listening = {"unix": "stream", "unixgram": "datagram"}
        options = [f"--ingest.unix-{listening[args.transport]}={path}"] if args.transport in listening else []
        with running_sidecar(args.features, options=[*options, *args.serve_arg], folder=folder) as process:
            if args.share is None:
                target = process.url if args.transport == "http" else f"{args.transport}://{path}"
                yield process, Logged(target, rate=args.rate, features=args.features)
            else:
                body = next(body for body in bodies(args.features) if body.key == args.form)
                posted = Posted(process.url, body, share=args.share)
                print(f"full speed: {posted.full_speed:,.0f} events a second; sending {posted.rate:,.0f}", flush=True)
                yield process, posted


def run(args: argparse.Namespace) -> list[Sample]:
    """Send at the rate for so long; returns the samples, the last of them after everything was sent."""
    found = []
    with _running(args) as (process, source):
        minutes, began = args.minutes, time.monotonic()
        intervals = max(6, min(INTERVALS, round(minutes))) if minutes < INTERVALS else round(minutes)
        source.start()
        try:
            for _ in range(intervals):
                found.append(_watch(process, source, began=began, seconds=minutes * 60 / intervals))
                _print(found[-1])
        finally:
            source.stop()
        found.append(_settled(process, source, began=began))
        _print(found[-1])
    return found


def _settled(process: SidecarProcess, source: Source, *, began: float) -> Sample:
    """Take the last sample when the sidecar has taken what the sockets held, which over datagrams nobody says."""
    until = time.monotonic() + 10
    while True:
        sample = _sample(process, source, began=began, share=0.0, scrape_ms=0.0)
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
    parser.add_argument(
        "--share", type=float, help="post written bodies at this share of full speed, instead of --rate"
    )
    parser.add_argument("--form", choices=KEYS[1:], default="msgpack", help="their form (default: msgpack)")
    args = parser.parse_args(arguments)
    if args.share is not None and args.transport != "http":
        parser.error("--share goes over HTTP")
    if args.share is None:
        at = f"{args.rate:,.0f} events a second by {args.transport}"
    else:
        at = f"{args.share:.0%} of full speed"
    print(f"soak: {args.features} features, 3 windows, {at}")
    print(
        f"{'minute':>8}{'MiB':>10}{'sender':>10}{'sent':>15}{'counted':>15}{'dropped':>9}{'refused':>9}{'CPU':>8}"
        f"{'scrape ms':>10}",
        flush=True,
    )
    try:
        found = run(args)
    except (OSError, RuntimeError) as error:  # a scrape that failed, a sidecar that ended
        print(f"failed: {error}", file=sys.stderr)
        return 1
    wrong = verdict(found)
    for sentence in wrong:
        print(f"failed: {sentence}", file=sys.stderr)
    if not wrong:
        print("passed: every event was counted, none was dropped or refused, and memory did not grow")
    return 1 if wrong else 0
