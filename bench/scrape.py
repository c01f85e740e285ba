"""Scrape: time and bytes of the exposition, next to `prometheus_client` writing the same series."""

import http.client
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from bench.work import bodies, profile, running_sidecar
from sidecar import metrics
from sidecar.collector import Collector, LoadState
from sidecar.config import Config, ModelConfig
from sidecar.metrics import CATALOGUE
from sidecar.monitor import Monitor

FEATURES, BINS = 200, 11  # and the bin for missing values
ROUNDS = 15


def main() -> None:
    """Print the time of a scrape, of the statistics alone, and of the client library."""
    monitor = Monitor(
        Config(models=(ModelConfig(name="bench", reference="-"),)),
        {"bench": profile(FEATURES, bins=BINS)},
        now=0.0,
        start=datetime.now(UTC),
    )
    monitor.open_transport("bench")
    ndjson = bodies(FEATURES)[2]
    monitor.submit(ndjson.content, ndjson.form, transport="bench", now=1.0)
    comparison = monitor.models["bench"].comparison
    assert comparison is not None
    collector = Collector(monitor, LoadState())
    text, _ = collector.expose("", now=1.0)
    registry = by_client_library(collector)
    expose, statistics_alone, library = (
        median_milliseconds(work)
        for work in (
            lambda: collector.expose("", now=1.0),
            lambda: comparison.read(now=1.0),
            lambda: generate_latest(registry),
        )
    )
    print(f"scrape: {FEATURES} features x {BINS + 1} bins, 3 windows; milliseconds")
    print(f"  exposition                        {expose:8.2f}   {len(text):,} bytes")
    print(f"  of it, all statistics             {statistics_alone:8.2f}")
    print(f"  prometheus_client, same series    {library:8.2f}   {library / expose:.1f} times as long")
    print(f"  over HTTP, gzip                   {over_http():8.2f}")


def by_client_library(collector: Collector) -> CollectorRegistry:
    """Put the same series into a registry of the client library."""
    registry = CollectorRegistry()
    families = collector.families(now=1.0)
    for metric in CATALOGUE:
        if metric is metrics.LATENCY:
            continue
        kind = Counter if metric.type == "counter" else Gauge
        family = kind(metric.name, metric.help, metric.labels, registry=registry)
        for line in families[metric]:
            labels, value = line.rsplit(" ", 1)
            pairs = labels.partition("{")[2].removesuffix("}")
            texts = [part.partition('="')[2].removesuffix('"') for part in _split(pairs)] if pairs else []
            child = family.labels(*texts) if texts else family
            child.inc(float(value))
    return registry


def _split(pairs: str) -> list[str]:
    return [part if part.endswith('"') else part + '"' for part in pairs.split('",')]


def median_milliseconds(work: Callable[[], object]) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def over_http() -> float:
    """Return the median time of a scrape as Prometheus makes it."""
    with running_sidecar(FEATURES, bins=BINS) as process:
        connection = http.client.HTTPConnection(urlsplit(process.url).netloc, timeout=30)

        def scrape() -> None:
            connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
            connection.getresponse().read()

        result = median_milliseconds(scrape)
        connection.close()
    return result
