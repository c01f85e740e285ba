"""Measure what the rules cost: a made-up fleet, a real Prometheus, the time each group takes.

    python -m bench.rule_cost                 # 100 pods x 100 features x 12 bins, about nine minutes
    python -m bench.rule_cost --pods 10       # a smaller fleet
    python -m bench.rule_cost --season        # references by season: one more counter for each bin

One HTTP server on the loopback interface plays every pod. The history that the long windows read is written
into the storage first, so that 24h are 24h. Prometheus gets two cores.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import yaml

from sidecar.alerting.rules import Settings, names, product
from sidecar.base.duration import milliseconds
from sidecar.exposition import model_metrics, sidecar_metrics

NAMESPACE, MODEL, REFERENCE = "bench", "fraud", "0a1b2c3d"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Fleet:
    """Render the exposition of a pod; all pods have had the same events."""

    def __init__(self, *, features: int, bins: int, season: bool = False) -> None:
        self.season = season
        self.features = [f"feature_{number:04d}" for number in range(features)]
        self.bins = [f"{number:02d}" for number in range(bins - 1)] + ["missing"]
        self.key = f'model="{MODEL}",reference="{REFERENCE}"'
        self.started = time.time()

    def exposition(self, now: float) -> str:
        """Return every family, as after a steady stream since the start."""
        events = int((now - self.started) * 20)
        lines = [
            f'{model_metrics.PREDICTIONS.name}{{model="{MODEL}"}} {events}',
            f'{model_metrics.PREDICTION_ERRORS.name}{{model="{MODEL}"}} {events // 1000}',
            f'{model_metrics.REFERENCE_INFO.name}{{{self.key},source="file",model_version="1"}} 1',
            f"{model_metrics.REFERENCE_SAMPLES.name}{{{self.key}}} 10000",
            f"{model_metrics.REFERENCE_CREATED.name}{{{self.key}}} {self.started}",
            f'{model_metrics.LATENCY.name}_bucket{{model="{MODEL}",le="+Inf"}} {events}',
            f'{model_metrics.LATENCY.name}_count{{model="{MODEL}"}} {events}',
            f"{sidecar_metrics.CONFIG_RELOAD_SUCCESSFUL.name} 1",
            f'{sidecar_metrics.EVENTS.name}{{transport="http"}} {events}',
        ]
        lines += [
            f'{model_metrics.LATENCY.name}_bucket{{model="{MODEL}",le="{le}"}} {int(events * min(1, le * 20))}'
            for le in BUCKETS
        ]
        if self.season:
            lines.append(f"{model_metrics.REFERENCE_SEASON_SAMPLES.name}{{{self.key}}} 400")
        for number, feature in enumerate(self.features):
            role = "output" if number < 2 else "input"
            key = f'{self.key},role="{role}",feature="{feature}"'
            lines.append(f"{model_metrics.SIGNIFICANCE_FACTOR.name}{{{key}}} 31.3")
            for index, name in enumerate(self.bins):
                labels = f'{key},bin="{name}",range="({index}.5, {index + 1}.5]"'
                share = events * (1 + (index + number) % 3) // 2 // len(self.bins)
                lines.append(f"{model_metrics.BIN_OBSERVATIONS.name}{{{labels}}} {share}")
                lines.append(f"{model_metrics.BIN_REFERENCE_RATIO.name}{{{labels}}} {1 / len(self.bins)}")
                if self.season:
                    lines.append(
                        f"{model_metrics.BIN_EXPECTED_OBSERVATIONS.name}{{{labels}}} {events / len(self.bins)}"
                    )
        return "\n".join(lines) + "\n"

    def history(self, settings: Settings, until: int) -> Iterator[str]:
        """Yield the recorded past that the long windows add up, as OpenMetrics."""
        drift, objectives = settings.drift, settings.objectives
        base = f'namespace="{NAMESPACE}",model="{MODEL}"'
        for record in (names.bin_observations, names.bin_expected) if self.season else (names.bin_observations,):
            yield f"# TYPE {record(drift.windows[0])} unknown\n"
            for number, feature in enumerate(self.features):
                role = "output" if number < 2 else "input"
                for name in self.bins:
                    labels = f'{base},reference="{REFERENCE}",role="{role}",feature="{feature}",bin="{name}"'
                    series = f"{record(drift.windows[0])}{{{labels}}}"
                    for at in _times(until, drift.windows[-1], drift.interval):
                        yield f"{series} {4000 + (at + number) % 97}.5 {at}\n"
        for metric in (names.slo_events, names.slo_errors):
            yield f"# TYPE {metric(objectives.windows[0])} unknown\n"
            for slo in ("latency_100ms", "latency_500ms", "errors"):
                series = f'{metric(objectives.windows[0])}{{{base},slo="{slo}"}}'
                for at in _times(until, objectives.windows[-1], objectives.interval):
                    yield f"{series} {100 + at % 7} {at}\n"
        yield "# EOF\n"


def _times(until: int, window: str, interval: str) -> range:
    return range(until - milliseconds(window) // 1000, until, milliseconds(interval) // 1000)


class _Pod(BaseHTTPRequestHandler):
    fleet: ClassVar[Fleet]
    cached: ClassVar[tuple[int, bytes]] = (0, b"")
    lock: ClassVar[threading.Lock] = threading.Lock()
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        with self.lock:
            tick = int(time.time())
            if self.cached[0] != tick:
                type(self).cached = (tick, self.fleet.exposition(tick).encode())
            body = self.cached[1]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def write_configuration(directory: Path, *, settings: Settings, pods: int, port: int, scrape: str) -> Path:
    """Write rules and the configuration of Prometheus: every pod is a target on the loopback interface."""
    rules = []
    for name, text in product(settings).items():
        if name.parent == Path():
            (directory / name).write_text(text)
            rules.append(str(directory / name))
    targets = [
        {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {"namespace": NAMESPACE, "pod": f"fraud-{pod:03d}", "instance": f"pod-{pod:03d}:9100"},
        }
        for pod in range(pods)
    ]
    path = directory / "prometheus.yml"
    job = {"job_name": "model-sidecar", "static_configs": targets}
    path.write_text(
        yaml.safe_dump(
            {"global": {"scrape_interval": scrape}, "rule_files": rules, "scrape_configs": [job]},
            default_flow_style=False,
        )
    )
    return path


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str) -> Any:
    """Return the data of an answer of the API."""
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)["data"]


def watch(api: str, *, until: float, warm: float) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Collect the seconds of each group, and of each rule, evaluated after `warm`."""
    groups: dict[str, dict[str, float]] = defaultdict(dict)
    rules: dict[str, dict[str, float]] = defaultdict(dict)
    while time.time() < until:
        time.sleep(5)
        try:
            found = get(f"{api}/rules")["groups"]
        except OSError:
            continue
        for group in found:
            at = group["lastEvaluation"]
            if time.time() > warm and not at.startswith("0001"):
                groups[group["name"]][at] = group["evaluationTime"]
                for rule in group["rules"]:
                    if rule["health"] != "ok":
                        sys.exit(f"rule {rule['name']} failed: {rule.get('lastError')}")
                    rules[rule["name"]][at] = rule["evaluationTime"]
    return (
        {name: list(seen.values()) for name, seen in groups.items()},
        {name: list(seen.values()) for name, seen in rules.items()},
    )


def table(title: str, seconds: dict[str, list[float]], *, rows: int | None = None) -> str:
    """Return the slowest first: median, maximum, number of evaluations."""
    ranked = sorted(seconds.items(), key=lambda item: -statistics.median(item[1]))[:rows]
    lines = [f"{title:<50} {'median s':>9} {'max s':>9} {'evaluations':>12}"]
    lines += [f"{name:<50} {statistics.median(s):9.3f} {max(s):9.3f} {len(s):12d}" for name, s in ranked]
    return "\n".join(lines)


def run(args: argparse.Namespace, directory: Path) -> int:
    """Start the fleet and Prometheus, watch, print; return 1 if a group takes a second or more."""
    settings = Settings()
    fleet = Fleet(features=args.features, bins=args.bins, season=args.season)
    data = directory / "data"
    history = directory / "history.txt"
    print(f"writing {settings.drift.windows[-1]} of history ...", flush=True)
    with history.open("w") as file:
        file.writelines(fleet.history(settings, int(time.time()) - 60))
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=24h", history, data],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    history.unlink()
    _Pod.fleet = fleet
    pods = ThreadingHTTPServer(("127.0.0.1", 0), _Pod)
    threading.Thread(target=pods.serve_forever, daemon=True).start()
    configuration = write_configuration(
        directory, settings=settings, pods=args.pods, port=pods.server_port, scrape=args.scrape_interval
    )
    address = f"127.0.0.1:{free_port()}"
    api = f"http://{address}/api/v1"
    with (directory / "prometheus.log").open("w") as log:
        prometheus = subprocess.Popen(
            ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={data}",
             f"--web.listen-address={address}", "--storage.tsdb.retention.time=30d"],
            stdout=log, stderr=log, env={**os.environ, "GOMAXPROCS": "2"},
        )  # fmt: skip
    try:
        print("scraping until the first window is full ...", flush=True)
        started = time.time()
        warm = started + milliseconds(settings.drift.windows[0]) / 1000 + 30
        groups, rules = watch(api, until=started + args.minutes * 60, warm=warm)
        if not groups:
            sys.exit(f"nothing evaluated: {(directory / 'prometheus.log').read_text()[-2000:]}")
        query = f"{api}/query?query=count(%7B__name__%3D~%22model_.%2B%22%7D)"
        series = get(query)["result"][0]["value"][1]
        found = get(f"{api}/query?query=count({names.psi(settings.drift.windows[-1])})")["result"]
        drifts = found[0]["value"][1] if found else 0
    finally:
        prometheus.terminate()
        prometheus.wait(timeout=60)
        pods.shutdown()
    print(
        f"{args.pods} pods x {args.features} features x {args.bins} bins = "
        f"{args.pods * args.features * args.bins} bin counters; {series} series of the model; "
        f"{drifts} features with drift; scraped every {args.scrape_interval}\n"
    )
    print(table("group", groups), table("rule (slowest)", rules, rows=10), sep="\n\n")
    slowest = max(statistics.median(seconds) for seconds in groups.values())
    return 0 if slowest < 1 else 1


def main() -> int:
    """Read the options and run in a directory that is removed at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=100)
    parser.add_argument("--features", type=int, default=100)
    parser.add_argument("--bins", type=int, default=12)
    parser.add_argument("--season", action="store_true", help="references by season")
    parser.add_argument("--scrape-interval", default="15s")
    parser.add_argument("--minutes", type=float, default=9, help="how long Prometheus runs")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        return run(args, Path(directory))


if __name__ == "__main__":
    sys.exit(main())
