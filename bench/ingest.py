"""Ingest: CPU time an event for every form, in the process and over loopback HTTP, next to decoding alone."""

import http.client
import statistics
import time
import types
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from bench.work import Body, bodies, cpu_seconds, profile, running_sidecar
from sidecar.comparison import Comparison
from sidecar.config import WINDOWS, Config, DriftConfig, Limits, ModelConfig
from sidecar.event import Form
from sidecar.monitor import Monitor
from sidecar.schema import columns_type, event_type

ROUNDS = 7
FEATURES = (5, 200)


def main() -> None:
    """Print a table for a few and for many features."""
    print("ingest: CPU µs an event; ratio to the floor (typed msgspec decode alone); events a second over HTTP")
    heading = f"{'':<34}{'floor':>8}{'counted':>9}{'ratio':>7}{'process':>9}{'events/s':>11}"
    for features in FEATURES:
        print(f"\n{features} features".ljust(35) + heading[34:])
        reference = profile(features)
        monitor = Monitor(
            Config(models=(ModelConfig(name="bench", reference="-"),)),
            {"bench": reference},
            now=0.0,
            start=datetime.now(UTC),
        )
        monitor.open_transport("bench")
        comparison = Comparison("bench", reference, DriftConfig(), WINDOWS, now=0.0)
        with running_sidecar(features) as process:
            for body in bodies(features):
                decode = floor(body, comparison)
                submit = _submitting(monitor, body)
                repeats = max(3, 2_000_000 // (body.events * features * 20) // (20 if body.events == 1 else 1))
                alone, counted = per_event(body, repeats, decode, submit)
                whole, rate = over_http(process.url, process.process.pid, body, repeats)
                ratio = f"{counted / alone:.2f}" if alone > 0.05 else "-"  # buffers are not parsed at all
                print(f"  {body.name:<32}{alone:>8.2f}{counted:>9.2f}{ratio:>7}{whole:>9.2f}{rate:>11,.0f}")


def floor(body: Body, comparison: Comparison) -> Callable[[], object]:
    """Return the decoding of a body into the types of its schema, and nothing else."""
    limit = Limits().string_length
    event = event_type(comparison.schema, string_length=limit)
    columns = columns_type(comparison.schema, string_length=limit, buffers=body.form is Form.MSGPACK)
    if body.form is Form.NDJSON:
        lines = msgspec.json.Decoder(event).decode_lines
        return lambda: lines(body.content)
    if body.form is Form.MSGPACK:
        packed = msgspec.msgpack.Decoder(columns).decode
        return lambda: packed(body.content)
    kind: object = columns if body.name.startswith("columns") else event
    if body.name.startswith("array"):
        kind = types.GenericAlias(list, (event,))
    decode = msgspec.json.Decoder(kind).decode
    return lambda: decode(body.content)


def _submitting(monitor: Monitor, body: Body) -> Callable[[], object]:
    return lambda: monitor.submit(body.content, body.form, transport="bench", now=1.0)


def per_event(body: Body, repeats: int, *works: Callable[[], object]) -> list[float]:
    """Return the median CPU µs an event of each work, measured in turn."""
    rounds: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, results in zip(works, rounds, strict=True):
            began = time.process_time()
            for _ in range(repeats):
                work()
            results.append((time.process_time() - began) / repeats / body.events * 1e6)
    return [statistics.median(results) for results in rounds]


def over_http(url: str, pid: int, body: Body, repeats: int) -> tuple[float, float]:
    """Return the median CPU µs an event of the whole receiving process, and events a second, over one connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    headers = {"Content-Type": body.form.value}
    cpu, rates = [], []
    for _ in range(ROUNDS + 1):
        cpu_before, began = cpu_seconds(pid), time.perf_counter()
        for _ in range(repeats):
            connection.request("POST", "/monitor", body.content, headers)
            reply = connection.getresponse()
            answer = reply.read()
            if reply.status != 202:
                raise RuntimeError(f"status {reply.status}: {answer!r}")
        events = repeats * body.events
        cpu.append((cpu_seconds(pid) - cpu_before) / events * 1e6)
        rates.append(events / (time.perf_counter() - began))
    connection.close()
    return statistics.median(cpu[1:]), statistics.median(rates[1:])
