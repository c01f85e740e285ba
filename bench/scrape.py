"""Scrape: the exposition next to the least that writes the same series, and to `prometheus_client`; and whether
scrapes hold up ingest."""

import http.client
import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from bench.figures import Figures
from bench.measure import median_milliseconds, medians_milliseconds
from bench.work import bodies, connect, monitor, posting, running_sidecar
from sidecar.exposition import model_metrics
from sidecar.exposition.catalogue import CATALOGUE
from sidecar.monitor.comparison import Comparison
from sidecar.monitor.status import LoadState
from sidecar.reports.collector import Collector
from sidecar.statistics import drift

FEATURES, BINS = 200, 11  # and the bin for missing values
SCRAPES, PAUSE_SECONDS = 40, 0.1


def main(figures: Figures) -> None:
    """Print the time of a scrape, of the least, and of the client library, and what events wait meanwhile."""
    watched = monitor(FEATURES, bins=BINS)
    ndjson = bodies(FEATURES)[2]
    watched.submit(ndjson.content, ndjson.form, transport="bench", now=1.0)
    comparison = watched.models["bench"].comparison
    assert comparison is not None  # it has a reference
    collector = Collector(watched, LoadState())
    text, _ = collector.expose("", now=1.0)
    registry = by_client_library(collector)
    expose, least, library = medians_milliseconds(
        [
            lambda: collector.expose("", now=1.0),
            by_hand(text.decode(), comparison),
            lambda: generate_latest(registry),
        ]
    )
    over_http, gzip, waits = _over_http()
    figures["scrape.expose_ms"], figures["scrape.by_hand_ms"] = expose, least
    figures["scrape.client_library_ms"], figures["scrape.bytes"] = library, len(text)
    figures["scrape.http_ms"], figures["scrape.gzip_ms"] = over_http, gzip
    figures["scrape.held_up_ms"] = statistics.median(waits)
    figures["scrape.held_up_most_ms"] = max(waits)
    print(f"scrape: {FEATURES} features x {BINS + 1} bins, 3 windows; milliseconds")
    print(f"  exposition                        {expose:8.2f}   {len(text):,} bytes")
    print(f"  the same series written by hand   {least:8.2f}   {expose / least:.2f} times that")
    print(f"  prometheus_client, same series    {library:8.2f}   {library / expose:.1f} times as long")
    print(f"  over HTTP, plain; gzip            {over_http:8.2f} {gzip:8.2f}")
    print(f"  a POST waits for a scrape         {figures['scrape.held_up_ms']:8.2f}   (median; most {max(waits):.2f})")


def by_hand(text: str, comparison: Comparison) -> Callable[[], bytes]:
    """Return the least that writes the lines of an exposition again: what can change is computed and formatted."""
    fixed, prefixes, whole = [], [], []
    constant = (
        model_metrics.BIN_REFERENCE_RATIO.name,
        model_metrics.SIGNIFICANCE_FACTOR.name,
        model_metrics.REFERENCE_INFO.name,
        "#",
    )
    values = []
    for line in text.splitlines():
        if line.startswith(constant):
            fixed.append(line)
        else:
            start, _, value = line.rpartition(" ")
            prefixes.append(start + " ")
            whole.append("." not in value and value.isdigit())
            values.append(float(value))
    numbers, integers = np.array(values), np.array(whole)
    integer_prefixes = [prefix for prefix, is_whole in zip(prefixes, whole, strict=True) if is_whole]
    float_prefixes = [prefix for prefix, is_whole in zip(prefixes, whole, strict=True) if not is_whole]
    head = "\n".join(fixed)
    counts, shares, starts = comparison.counts(now=1.0), comparison.reference_shares, comparison.starts

    def write() -> bytes:
        live = drift.live_shares(counts, shares, starts)
        drift.psi(live, shares, starts)
        drift.kl_divergence(live, shares, starts)
        drift.js_divergence(live, shares, starts)
        lines = [head]
        lines += [a + str(b) for a, b in zip(integer_prefixes, numbers[integers].astype(int).tolist(), strict=True)]
        lines += [a + repr(b) for a, b in zip(float_prefixes, numbers[~integers].tolist(), strict=True)]
        return "\n".join(lines).encode()

    return write


def by_client_library(collector: Collector) -> CollectorRegistry:
    """Put the same series into a registry of the client library."""
    registry = CollectorRegistry()
    families = collector.families(now=1.0)
    for metric in CATALOGUE:
        if metric is model_metrics.LATENCY:
            continue
        kind = Counter if metric.type == "counter" else Gauge
        family = kind(metric.name, metric.help, metric.labels, registry=registry)
        for line in families.get(metric, []):
            labels, value = line.rsplit(" ", 1)
            pairs = labels.partition("{")[2].removesuffix("}")
            texts = [part.partition('="')[2].removesuffix('"') for part in _split(pairs)] if pairs else []
            child = family.labels(*texts) if texts else family
            child.inc(float(value))
    return registry


def _split(pairs: str) -> list[str]:
    return [part if part.endswith('"') else part + '"' for part in pairs.split('",')]


def _over_http() -> tuple[float, float, list[float]]:
    """Return ms of a plain and a compressed scrape, and of each of many scrapes what it added to a POST."""
    with running_sidecar(FEATURES, bins=BINS) as process:
        connection = connect(process.url)
        posting(connection, bodies(FEATURES)[2])()
        plain, gzip = (median_milliseconds(_scraping(connection, encoding)) for encoding in ("identity", "gzip"))
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        scraping = context.Process(target=_scrape_again_and_again, args=(process.url, theirs))
        scraping.start()
        ours.recv()
        post, posts = posting(connection, bodies(5)[0]), []
        while not ours.poll():
            began = time.perf_counter()
            post()
            posts.append((began, time.perf_counter()))
        scrapes: list[tuple[float, float]] = ours.recv()
        scraping.join()
        connection.close()
    # What POSTs take anyway, while nothing is scraped, is no fault of the scrapes: as long a time before each of them.
    otherwise = statistics.median(_slowest(posts, began - PAUSE_SECONDS / 2, ended - began) for began, ended in scrapes)
    waits = [_slowest(posts, began, ended - began) - otherwise for began, ended in scrapes]
    return plain, gzip, [max(wait, 0.0) for wait in waits]


def _slowest(posts: list[tuple[float, float]], began: float, seconds: float) -> float:
    """Return the ms of the slowest POST that overlapped a time."""
    return max(((last - first) * 1e3 for first, last in posts if last > began and first < began + seconds), default=0.0)


def _scraping(connection: http.client.HTTPConnection, encoding: str) -> Callable[[], None]:
    def scrape() -> None:
        connection.request("GET", "/metrics", headers={"Accept-Encoding": encoding})
        connection.getresponse().read()

    return scrape


def _scrape_again_and_again(url: str, pipe: Connection) -> None:
    connection = connect(url)
    scrape, times = _scraping(connection, "gzip"), []
    scrape()
    pipe.send("ready")
    for _ in range(SCRAPES):
        time.sleep(PAUSE_SECONDS)
        began = time.perf_counter()
        scrape()
        times.append((began, time.perf_counter()))
    connection.close()
    pipe.send(times)
