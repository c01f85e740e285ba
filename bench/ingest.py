"""Ingest: CPU time an event by form and transport, next to floors: decoding alone, and minimal receivers.

*Process* is all that the receiving process does for an event over a socket. *Minimal* is the same of a receiver that
decodes the same body, counts it in bins, and does nothing else.
"""

import http.client
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from bench.figures import Figures
from bench.floors import Floor
from bench.measure import Work, cpu_seconds, here, in_turn, repeated
from bench.minimal import EVENTS_AT_ONCE, STOP, minimal
from bench.peers.run import seed
from bench.work import (
    Body,
    UnixConnection,
    bodies,
    connect,
    monitor,
    posting,
    profile,
    running_sidecar,
    samples,
    total,
)
from tools.process import SidecarProcess

FEATURES = (5, 200)
EVENTS = "model_sidecar_events_total"
RATE, RATE_SECONDS = 50_000, 4
DATAGRAM_ROUNDS = 25
"""More than elsewhere and shorter, because here the sender, on the other core, is in the way."""


def main(figures: Figures) -> None:
    """Print a table for a few and for many features, and one of datagrams."""
    for features in FEATURES:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            options = [f"--ingest.unix-stream={folder / 's'}", f"--ingest.unix-datagram={folder / 'd'}"]
            process = stack.enter_context(running_sidecar(features, options=options, folder=folder))
            _bodies(figures, features, process)
            if features == FEATURES[0]:
                _single(figures, features, process, folder)
                _datagrams(figures, features, process, folder / "d")


def _repeats(body: Body, features: int) -> int:
    return 300 if body.events == 1 else max(2, 50_000 // (body.events * features))


def _bodies(figures: Figures, features: int, process: SidecarProcess) -> None:
    floor, inside = Floor(profile(features)), monitor(features)
    print(f"ingest, {features} features: CPU µs an event")
    print(f"{'':<32}{'decode':>9}{'and bins':>9}{'counted':>9}{'minimal':>9}{'process':>9}{'ratio':>7}{'events/s':>10}")
    with minimal("http", features) as least:
        to_least, to_sidecar = connect(f"http://{least.address}"), connect(process.url)
        for body in bodies(features):
            times = _repeats(body, features)
            content, key, form = body.content, body.key, body.form
            works: dict[str, Work] = {
                "decode": lambda content=content, key=key: floor.parse(content, key),  # type: ignore[misc]
                "bins": lambda content=content, key=key: floor.count(floor.decode(content, key)),  # type: ignore[misc]
                "counted": lambda content=content, form=form: inside.submit(  # type: ignore[misc]
                    content, form, transport="bench", now=1.0
                ),
            }
            measured = {name: here(repeated(work, 2 * times)) for name, work in works.items()}
            found = in_turn(measured, events=2 * times * body.events)
            whole = {
                "minimal": (repeated(posting(to_least, body), times), _clock(least.pid)),
                "process": (repeated(posting(to_sidecar, body), times), _clock(process.process.pid)),
            }
            found |= in_turn(whole, events=times * body.events)
            began = time.perf_counter()
            repeated(posting(to_sidecar, body), times)()
            rate = times * body.events / (time.perf_counter() - began)
            _keep(figures, f"ingest.{features}.{key}", found, rate)
            cells = [found[name] for name in ("decode", "bins", "counted", "minimal", "process")]
            texts = "".join(f"{value:>9.2f}" for value in cells)
            print(f"  {body.name:<30}{texts}{found['process'] / found['minimal']:>7.2f}{rate:>10,.0f}", flush=True)
        to_least.close()
        to_sidecar.close()


def _keep(figures: Figures, name: str, found: dict[str, float], rate: float) -> None:
    for what, value in found.items():
        figures[f"{name}.{what}_us"] = value
    figures[f"{name}.per_second"] = rate


def _clock(pid: int) -> Callable[[], float]:
    return lambda: cpu_seconds(pid)


def _single(figures: Figures, features: int, process: SidecarProcess, folder: Path) -> None:
    """Measure one event a request, over HTTP and the Unix stream, next to the least and to the seed's design."""
    body = bodies(features)[0]
    ways: dict[str, tuple[http.client.HTTPConnection, int]] = {
        "process": (connect(process.url), process.process.pid),
        "unix_stream": (UnixConnection(folder / "s"), process.process.pid),
    }
    with ExitStack() as stack:
        least = stack.enter_context(minimal("http", features, "decode"))
        ways["minimal_decode"] = (connect(f"http://{least.address}"), least.pid)
        try:
            service = stack.enter_context(seed(features))
            ways["seed"] = (connect(service.url), service.pid)
        except RuntimeError as error:
            print(f"  the seed's design does not run here: {str(error).strip().splitlines()[-1]}")
        works = {name: (repeated(posting(to, body), 300), _clock(pid)) for name, (to, pid) in ways.items()}
        found = in_turn(works, events=300)
        for connection, _ in ways.values():
            connection.close()
    print(f"\nsingle POST, {features} features: CPU µs of the whole receiving process")
    for name, value in found.items():
        figures[f"single.{name}_us"] = value
        print(f"  {name:<30}{value:>9.1f}")


def _datagrams(figures: Figures, features: int, process: SidecarProcess, path: Path) -> None:
    """Measure datagrams of one event each, and of batches, next to a blocking receiver."""
    single, ndjson, packed = (bodies(features, events=events)[i] for events, i in ((500, 0), (500, 2), (1000, 4)))
    with ExitStack() as stack:
        found = {}
        targets: dict[str, tuple[str, int]] = {"process": (str(path), process.process.pid)}
        for name, option in (("minimal", ""), ("receive", "receive")):
            least = stack.enter_context(minimal("datagram", features, *filter(None, [option])))
            targets[name] = (least.address, least.pid)
        sending = {name: stack.enter_context(_sender(address)) for name, (address, _) in targets.items()}
        count = 20 * EVENTS_AT_ONCE
        works = {name: (_waited(sending[name], single, count, pid), _clock(pid)) for name, (_, pid) in targets.items()}
        found = in_turn(works, events=count, rounds=DATAGRAM_ROUNDS)
        found |= _batches(("ndjson", "ndjson_minimal"), ndjson, targets, sending)
        found |= _batches(("msgpack",), packed, targets, sending)
        lost, achieved = _at_rate(sending["process"], single, process)
        for name in ("minimal", "receive"):
            sending[name].send(STOP)
    figures["datagram.lost"] = lost
    figures["datagram.per_second"] = achieved
    print(f"\nUnix datagrams, {features} features: CPU µs an event of the whole receiving process")
    for name, value in found.items():
        figures[f"datagram.{name}_us"] = value
        print(f"  {name:<30}{value:>9.2f}")
    print(f"  at {RATE:,} a second: {achieved:,.0f} a second sent for {RATE_SECONDS} s, {lost:,.0f} lost\n", flush=True)


def _batches(
    names: tuple[str, ...], body: Body, targets: Mapping[str, tuple[str, int]], sending: Mapping[str, socket.socket]
) -> dict[str, float]:
    """Measure batches in datagrams to the sidecar and, where it has a name too, to the minimal receiver.

    In turn, since a core next to which another one is busy takes longer for the same work.
    """
    count = 200  # so that waking up an idle process counts for little
    works = {
        name: (_waited(sending[target], body, count, targets[target][1]), _clock(targets[target][1]))
        for name, target in zip(names, ("process", "minimal"), strict=False)
    }
    return in_turn(works, events=count * body.events, rounds=DATAGRAM_ROUNDS)


def _sender(address: str) -> socket.socket:
    sending = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
    sending.connect(address)
    return sending


def _waited(sending: socket.socket, body: Body, count: int, pid: int) -> Work:
    """Return the sending of datagrams, and the waiting until the receiver has taken them all."""

    def send() -> None:
        for _ in range(count):
            sending.send(body.content)
        _until_idle(pid)

    return send


def _until_idle(pid: int) -> None:
    """Wait until a process has used no CPU time to speak of for 20 ms."""
    before = cpu_seconds(pid)
    while True:
        time.sleep(0.02)
        now = cpu_seconds(pid)
        if now - before < 0.0005:
            return
        before = now


def _at_rate(sending: socket.socket, body: Body, process: SidecarProcess) -> tuple[float, float]:
    """Send for some seconds at a steady rate; returns how many events were lost, and how many a second were sent."""
    before = total(samples(process.url), EVENTS)
    a_tick = RATE // 1000
    began = time.perf_counter()
    for tick in range(RATE_SECONDS * 1000):
        ahead = began + tick / 1000 - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
        for _ in range(a_tick):
            sending.send(body.content)
    achieved = RATE * RATE_SECONDS / (time.perf_counter() - began)
    _until_idle(process.process.pid)
    return RATE * RATE_SECONDS - (total(samples(process.url), EVENTS) - before), achieved
