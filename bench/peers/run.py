"""Run the peers, each in its own process, and keep what they measured."""

import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.figures import Figures
from bench.measure import cpu_seconds, in_turn, median_milliseconds, repeated, resident_mebibytes
from bench.work import bodies
from tools.process import started

LIBRARIES = {
    "client_library": "`prometheus_client` histograms by hand, in process",
    "whylogs_rolling": "whylogs, rolling logger, in process",
    "river_detectors": "river, ADWIN for each feature, in process",
    "evidently_report": "Evidently, a report every 10,000 events, in process",
}
FEATURES = (5, 200)
LIMIT_SECONDS = 180
SEED_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class Seed:
    """A running service of the seed's design."""

    pid: int
    url: str


@contextmanager
def seed(features: int) -> Iterator[Seed]:
    """Run the service of the seed's design."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "bench.peers.seed", str(features)]
        with started(command, Path(name, "log"), listeners=1) as (process, [address]):
            yield Seed(process.pid, f"http://{address}")


def main(figures: Figures) -> None:
    """Measure every peer with a few and with many features."""
    print("peers: CPU µs an event; drift of all features and exposition, ms; resident MiB")
    print(f"{'':<38}{'features':>9}{'CPU':>10}{'drift':>10}{'scrape':>9}{'resident':>10}")
    for features in FEATURES:
        _seed(figures, features)
        for name in LIBRARIES:
            for figure, value in _measured(name, features).items():
                figures[f"peers.{features}.{name}.{figure}"] = value
            _show(figures, name, features)


def _measured(name: str, features: int) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", f"bench.peers.{name}", str(features)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        print(f"  {name} took more than {LIMIT_SECONDS} s with {features} features")
        return {}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        print(f"  {name} does not run here: {lines[-1]}")
        return {}
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _seed(figures: Figures, features: int) -> None:
    one = bodies(features, events=1)[0]
    try:
        with seed(features) as service:
            connection = http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=60)

            def post() -> None:
                connection.request("POST", "/monitor", one.content, {"Content-Type": "application/json"})
                reply = connection.getresponse()
                if reply.read() and reply.status != 202:
                    raise RuntimeError(f"status {reply.status}")

            def get(path: str) -> bytes:
                connection.request("GET", path)
                return connection.getresponse().read()

            batch = 500 if features < 50 else 200
            work = repeated(post, batch), lambda: cpu_seconds(service.pid)
            name = f"peers.{features}.seed"
            figures[f"{name}.cpu_us"] = in_turn({"seed": work}, events=batch, rounds=3)["seed"]
            repeated(post, SEED_EVENTS - 4 * batch)()  # so that its windows are full
            figures[f"{name}.drift_ms"] = median_milliseconds(lambda: get("/drift"), rounds=3)
            figures[f"{name}.scrape_ms"] = median_milliseconds(lambda: get("/metrics"), rounds=5)
            figures[f"{name}.scrape_bytes"] = len(get("/metrics"))
            figures[f"{name}.resident_mib"] = resident_mebibytes(service.pid)
            connection.close()
    except RuntimeError as error:
        print(f"  seed does not run here: {str(error).strip().splitlines()[-1]}")
    _show(figures, "seed", features)


def _show(figures: Figures, name: str, features: int) -> None:
    start = f"peers.{features}.{name}"
    cells = [figures.get(f"{start}.{what}") for what in ("cpu_us", "drift_ms", "scrape_ms", "resident_mib")]
    texts = ["–" if value is None else f"{value:,.1f}" for value in cells]
    print(f"  {name:<36}{features:>9}{texts[0]:>10}{texts[1]:>10}{texts[2]:>9}{texts[3]:>10}", flush=True)
