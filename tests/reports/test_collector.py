"""The exposition: compared whole with golden files, linted, parsed, and checked against the catalogue."""

import gzip
import json
import math
import re
import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from sidecar import __version__
from sidecar.base.cooperative import at_once
from sidecar.base.duration import Duration
from sidecar.config import Config, DriftConfig, LabelsConfig, Learn, ModelConfig
from sidecar.events import forms
from sidecar.exposition import catalogue, model_metrics, sidecar_metrics
from sidecar.exposition.catalogue import CATALOGUE
from sidecar.exposition.metric import Metric
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import LoadState, StorageState
from sidecar.reports.collector import Collector
from tests.plugins.golden import Golden
from tests.plugins.programs import program
from tests.plugins.serving import event, fraud_profile, get, parsed, samples, value
from tests.seasons import fraud_profile_by_season
from tools.process import SidecarProcess

TEXT = "text/plain;version=0.0.4"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    f"{PROMETHEUS_2.replace('1.0.0', '1.0.0;q=0.8')}"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)

REFUSED = {("ingest", "cross_site"): 0, ("ingest", "host"): 0}


def collector_of(monitor: Monitor, storage: StorageState | None = None) -> Collector:
    load = LoadState(successful=True, last_success_timestamp_seconds=1793577600.25)
    return Collector(monitor, load, storage, refused_connections={"ingest": 0, "web": 0}, refused_requests=REFUSED)


def fraud_monitor() -> Monitor:
    """Return a monitor at 100 s, its reference as it was at 0 s, with windows of a minute and an hour."""
    model = ModelConfig(
        name="fraud", reference="fraud.profile.json", windows=(Duration("1m"), Duration("1h")), version="8"
    )
    start = datetime(2026, 11, 2, tzinfo=UTC)
    monitor = Monitor(Config(models=(model,)), {"fraud": fraud_profile()}, now=0.0, start=start)
    monitor.open_transport("http")
    return monitor


def fixed_state() -> Collector:
    """Return a collector of 300 events, 250 of them within the last minute, some of them odd."""
    monitor = fraud_monitor()
    submit(monitor, [event(latency_ms=80 + i) for i in range(50)], now=10.0)
    odd = [
        event(features={"amount": -5.0, "merchant": "other"}, latency_ms=None),
        event(features={"amount": 1e9, "unknown": 1}, latency_ms=600),
        {"error": True},
        event(probability=2),
        event(model="nobody"),
    ]
    submit(monitor, [event(features={"amount": float(i % 50), "merchant": "visa"}) for i in range(247)] + odd, now=90.0)
    monitor.reject("http", "too_large")
    monitor.drop("http", "overload")
    storage = StorageState(checkpoint_timestamp_seconds=1793577700.5, checkpoint_bytes=778709)
    storage.set_aside["damaged"] = 1
    return collector_of(monitor, storage)


def labelled_state() -> Collector:
    """Return a collector of everything there is: also of a season and labels, of classes and of numbers."""
    windows = (Duration("1m"), Duration("1h"))
    fraud = ModelConfig(
        name="fraud",
        reference="fraud.profile.json",
        windows=windows,
        labels=LabelsConfig(ttl=Duration("80s"), most=60, positive="fraud", min_labels=10),
    )
    price = ModelConfig(name="price", windows=windows, labels=LabelsConfig(min_labels=3))
    monitor = Monitor(
        Config(models=(fraud, price)),
        {"fraud": fraud_profile_by_season(), "price": None},
        now=0.0,
        start=datetime(2026, 11, 2, tzinfo=UTC),
    )
    monitor.open_transport("http")
    first = [
        event(model="fraud", id=i, prediction=("fraud", "legitimate")[i % 2], probability=i / 64) for i in range(64)
    ]
    submit(monitor, [*first, first[-1]], now=10.0)
    second = [event(model="fraud", id=f"b{i}") for i in range(30)]
    judged = [{"model": "fraud", "id": i, "label": ("fraud", "legitimate")[i % 3 == 0]} for i in range(40, 60)]
    submit_labels(monitor, [*judged, judged[0], {"model": "fraud", "id": 0, "label": "fraud"}], now=30.0)
    submit(monitor, second, now=60.0)
    submit(monitor, [event(model="price", id=i, prediction=i * 1.5, probability=None) for i in range(4)], now=60.0)
    of_second = [{"model": "fraud", "id": f"b{i}", "label": ("legitimate", "odd")[i == 0]} for i in range(25)]
    of_prices = [{"model": "price", "id": i, "label": i + 0.25} for i in range(4)]
    submit_labels(monitor, [*of_second, *of_prices, {"model": "price", "id": 9}], now=95.0)
    submit(monitor, [event(model="fraud", features={"amount": 1.0, "merchant": "visa"}) for _ in range(200)], now=95.0)
    storage = StorageState(checkpoint_timestamp_seconds=1793577700.5, checkpoint_bytes=778709)
    return collector_of(monitor, storage)


def submit_labels(monitor: Monitor, labels: Any, *, now: float) -> None:
    monitor.submit_labels(json.dumps(labels).encode(), forms.JSON, transport="http", now=now)


def submit(monitor: Monitor, body: Any, *, now: float) -> None:
    monitor.submit(json.dumps(body).encode(), forms.JSON, transport="http", now=now)
    monitor.flush(now=now)


def exposed(collector: Collector, accept: str = TEXT, *, now: float = 100.0) -> str:
    return collector.expose(accept, now=now)[0].decode()


def without_process(text: str) -> str:
    return re.sub(r"(?m)^(# (HELP|TYPE) )?process_.*\n", "", text)


def steady(text: str) -> str:
    """Leave out what differs between machines: the process, versions, and the last digits of logarithms."""
    text = re.sub(r'\b(version|pythonversion)="\d+\.\d+\.\d+"', r'\1="…"', without_process(text))
    return re.sub(r"(?m)(?<= )\d+\.\d{12,}(e-\d+)?$", lambda number: f"{float(number[0]):.12g}", text)


@pytest.mark.parametrize(("accept", "suffix"), [(TEXT, "prom"), (OPENMETRICS, "openmetrics")])
def test_exposition_of_a_fixed_state_is_the_golden_one(golden: Golden, accept: str, suffix: str) -> None:
    text = exposed(fixed_state(), accept)
    golden(f"fraud.{suffix}", steady(text))


@pytest.mark.parametrize(("accept", "suffix"), [(TEXT, "prom"), (OPENMETRICS, "openmetrics")])
def test_exposition_with_labels_is_the_golden_one(golden: Golden, accept: str, suffix: str) -> None:
    text = exposed(labelled_state(), accept)
    golden(f"labels.{suffix}", steady(text))


@pytest.mark.parametrize(("accept", "suffix"), [(TEXT, "prom"), (OPENMETRICS, "openmetrics")])
def test_exposition_while_learning_is_the_golden_one(golden: Golden, accept: str, suffix: str) -> None:
    monitor = Monitor(Config(), {"default": None}, now=0.0, start=datetime(2026, 11, 2, tzinfo=UTC))
    monitor.open_transport("http")
    submit(monitor, [event()] * 3, now=1.0)
    text = exposed(collector_of(monitor), accept)
    golden(f"learning.{suffix}", steady(text))


def test_promtool_finds_nothing_to_say() -> None:
    text = exposed(labelled_state())
    finished = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def families_of(collector: Collector, accept: str) -> list[Family]:
    read = openmetrics_families if accept.startswith("application/openmetrics") else text_families
    return [f for f in read(exposed(collector, accept)) if not f.name.startswith("process_")]


def flat(families: list[Family]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for sample in (s for family in families for s in family.samples):
        key = (sample.name, frozenset(sample.labels.items()))
        assert key not in found, f"{key} is there twice"
        found[key] = sample.value
    return found


def test_a_scrape_waits_for_the_lines_of_a_reference_that_is_learned_meanwhile() -> None:
    fraud = ModelConfig(name="fraud", reference="fraud.profile.json")
    other = ModelConfig(name="other", learn=Learn(events=100))
    monitor = Monitor(
        Config(models=(fraud, other)), {"fraud": fraud_profile(), "other": None}, now=0.0, start=datetime.now(UTC)
    )
    monitor.open_transport("http")
    steps = collector_of(monitor).exposing(TEXT, clock=lambda: 1.0)
    next(steps)
    submit(monitor, [event(model="other")] * 120, now=1.0)
    found = parsed(at_once(steps)[0].decode())
    assert value(found, "model_reference_samples", model="other") == 100
    assert value(found, "model_bin_observations_total", model="other", feature="merchant", range="visa") == 20
    assert value(found, "model_predictions_total", model="other") == 120


def test_both_formats_carry_the_same_samples() -> None:
    collector = fixed_state()
    in_text, in_openmetrics = flat(families_of(collector, TEXT)), flat(families_of(collector, OPENMETRICS))
    assert len(in_text) > 100
    assert in_text == in_openmetrics


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_exports_the_catalogue_with_its_types_help_and_labels_in_its_order_and_nothing_else(accept: str) -> None:
    families = families_of(labelled_state(), accept)
    assert [family.name for family in families] == [metric.name.removesuffix("_total") for metric in CATALOGUE]
    for family, metric in zip(families, CATALOGUE, strict=True):
        assert (family.type, family.documentation) == (metric.type, metric.help)
        for sample in family.samples:
            assert tuple(label for label in sample.labels if label != "le") == metric.labels, sample
            assert ("le" in sample.labels) == sample.name.endswith("_bucket")
            assert sample.name in sample_names(metric)


def sample_names(metric: Metric) -> list[str]:
    return [metric.name + end for end in ("_bucket", "_sum", "_count")] if metric.type == "histogram" else [metric.name]


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_names_follow_the_conventions_of_prometheus(metric: Metric) -> None:
    assert re.fullmatch(r"model_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.type == "counter")
    assert not {"le", "quantile", "job", "instance", "namespace", "pod"} & set(metric.labels)
    assert metric.help.endswith(".")
    assert "\n" not in metric.help
    assert '"' not in metric.help


def test_every_other_family_is_of_the_process() -> None:
    names = {family.name for family in text_families(exposed(fixed_state()))}
    others = names - {metric.name.removesuffix("_total") for metric in CATALOGUE}
    assert others
    assert all(name.startswith("process_") for name in others)


def test_histogram_is_cumulative_and_has_the_bounds_of_the_objectives() -> None:
    found = parsed(exposed(fixed_state()))
    buckets = {
        float(dict(labels)["le"]): count
        for (name, labels), count in found.items()
        if name == "model_latency_seconds_bucket"
    }
    assert {0.1, 0.5, math.inf} <= set(buckets)
    counts = [buckets[bound] for bound in sorted(buckets)]
    assert counts == sorted(counts)
    assert counts[-1] == value(found, "model_latency_seconds_count") == 298
    assert buckets[0.1] == 21 + 247
    assert buckets[0.5] == 297
    total = (sum(80 + i for i in range(50)) + 247 * 12.5 + 600) / 1000
    assert value(found, "model_latency_seconds_sum") == pytest.approx(total)


def test_reference_ratios_of_a_feature_add_up_to_one_and_every_bin_is_there_from_the_start() -> None:
    found = parsed(exposed(collector_of(fraud_monitor())))
    for feature in ("amount", "merchant", "prediction", "probability"):
        ratios, counts = (
            {labels: v for (name, labels), v in found.items() if name == wanted and dict(labels)["feature"] == feature}
            for wanted in ("model_bin_reference_ratio", "model_bin_observations_total")
        )
        assert sum(ratios.values()) == pytest.approx(1)
        assert ratios.keys() == counts.keys()
        assert set(counts.values()) == {0}
        assert all(ratio >= 0 for ratio in ratios.values())


def test_every_reason_is_exported_from_the_start() -> None:
    found = parsed(exposed(collector_of(fraud_monitor())))
    for metric, reasons in (
        (sidecar_metrics.EVENTS_REJECTED, catalogue.REJECT_REASONS),
        (sidecar_metrics.EVENTS_DROPPED, catalogue.DROP_REASONS),
    ):
        for reason in reasons:
            assert value(found, metric.name, transport="http", reason=reason) == 0


DRIFT_GAUGES = [
    model_metrics.DRIFT["psi"],
    model_metrics.DRIFT["kl"],
    model_metrics.DRIFT["js"],
    model_metrics.DRIFT["ks"],
    model_metrics.DRIFT["threshold"],
]


@pytest.mark.parametrize("metric", DRIFT_GAUGES, ids=lambda metric: metric.name)
def test_drift_is_absent_below_the_least_number_of_samples(metric: Metric) -> None:
    monitor = fraud_monitor()
    collector = collector_of(monitor)
    submit(monitor, [event()] * 199, now=1.0)
    assert f"\n{metric.name}{{" not in exposed(collector, now=2.0)
    assert f"# TYPE {metric.name} " not in exposed(collector, now=2.0)
    submit(monitor, event(), now=2.0)
    found = parsed(exposed(collector, now=2.0))
    features = {dict(labels)["feature"] for name, labels in found if name == metric.name}
    numeric = {"amount", "probability"}
    assert features == (numeric if metric is model_metrics.DRIFT["ks"] else numeric | {"merchant", "prediction"})
    windows = {dict(labels)["window"] for name, labels in parsed(exposed(collector, now=70.0)) if name == metric.name}
    assert windows == {"1h"}


def test_counters_never_go_back() -> None:
    monitor = fraud_monitor()
    collector = collector_of(monitor)
    counters = {metric.name for metric in CATALOGUE if metric.type == "counter"}
    counters |= {name for metric in CATALOGUE if metric.type == "histogram" for name in sample_names(metric)}
    before: dict[Any, float] = {}
    for step in range(20):
        now = step * 1000.0
        submit(monitor, [event(features={"amount": float(i * step), "x": 1}) for i in range(50)] + [{}], now=now)
        after = {key: v for key, v in parsed(exposed(collector, now=now + 500)).items() if key[0] in counters}
        assert before.keys() <= after.keys()
        assert all(after[key] >= v for key, v in before.items())
        before = after
    assert value(parsed(exposed(collector)), "model_predictions_total") == 1000


def test_scraping_changes_nothing() -> None:
    collector = fixed_state()
    first = without_process(exposed(collector))
    exposed(collector, OPENMETRICS)
    assert without_process(exposed(collector)) == first


ODD_TEXTS = {
    "line feeds": "a\nb\r\nc\r",
    "quotes": "\"say 'hi'\"",
    "backslashes": "\\n \\\\ \\",
    "braces": '{a="b"} 1',
    "a comment": "# HELP x",
    "spaces": "  ",
    "NUL and other controls": "\0\x01\x1f\x7f",
    "Unicode": "größe 価格 😀 \u2028\u0085\ufeff",
    "a KiB": "é" * 512,
    "a number": "1e5",
}

WRITTEN = {
    "line feeds": "a\nb\\x0d\nc\\x0d",
    "NUL and other controls": "\\x00\\x01\\x1f\\x7f",
    "Unicode": "größe 価格 😀 \u2028\\x85\ufeff",
}
"""Those that hold control characters, as they are in labels."""


@pytest.mark.parametrize("kind", ODD_TEXTS)
def test_label_values_survive_whatever_they_hold(kind: str) -> None:
    text = ODD_TEXTS[kind]
    written = WRITTEN.get(kind, text)
    model = ModelConfig(name=text[:200], learn=Learn(events=100), drift=DriftConfig(min_samples=10), version=text)
    start = datetime(2026, 11, 2, tzinfo=UTC)
    monitor = Monitor(Config(models=(model,)), {model.name: None}, now=0.0, start=start)
    monitor.open_transport("http")
    submit(monitor, [{"features": {"Größe 1": text, "b": i}} for i in range(150)], now=1.0)
    collector = collector_of(monitor)
    for accept in (TEXT, OPENMETRICS):
        found = flat(families_of(collector, accept))
        labels = [dict(pairs) for name, pairs in found if name == "model_bin_observations_total"]
        assert written in {pairs["range"] for pairs in labels}
        assert {pairs["feature"] for pairs in labels} == {"Größe 1", "b"}
        assert {pairs["model"] for pairs in labels} == {written[:200]}
        assert [dict(pairs)["model_version"] for name, pairs in found if name == "model_reference_info"] == [written]
    finished = subprocess.run(
        [program("promtool"), "check", "metrics"], input=exposed(collector).encode(), capture_output=True, check=False
    )
    assert (finished.returncode, finished.stderr) == (0, b"")


ACCEPTED = {
    "Prometheus 2": (PROMETHEUS_2, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    "Prometheus 2 with native histograms": (
        PROMETHEUS_2_PROTOBUF,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    ),
    "Prometheus 3": (PROMETHEUS_3, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    "text 0.0.4": (TEXT, "text/plain; version=0.0.4; charset=utf-8"),
    "curl": ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
    "a browser": ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text/plain; version=0.0.4; charset=utf-8"),
    "nothing": ("", "text/plain; version=0.0.4; charset=utf-8"),
    "what is no media type": (";;q=,", "text/plain; version=0.0.4; charset=utf-8"),
}


@pytest.mark.parametrize(("accept", "content_type"), ACCEPTED.values(), ids=ACCEPTED)
def test_answers_in_the_format_that_is_asked_for(fraud: SidecarProcess, accept: str, content_type: str) -> None:
    reply = get(fraud.url, "/metrics", accept=accept)
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith(content_type)
    openmetrics = content_type.startswith("application/openmetrics")
    assert reply.text.endswith("# EOF\n") == openmetrics
    assert list((openmetrics_families if openmetrics else text_families)(reply.text))


@pytest.mark.parametrize(
    ("accept_encoding", "packed"),
    [("gzip", True), ("deflate, gzip;q=0.5", True), ("GZIP", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
def test_packs_a_scrape_with_gzip_when_that_is_accepted(
    fraud: SidecarProcess, accept_encoding: str, packed: bool
) -> None:
    reply = get(fraud.url, "/metrics", accept_encoding=accept_encoding)
    assert reply.headers["Content-Encoding"] == ("gzip" if packed else None)
    assert reply.headers["Vary"] == "Accept, Accept-Encoding"
    text = gzip.decompress(reply.body).decode() if packed else reply.text
    assert parsed(text) == samples(fraud.url)


def test_tells_its_version(fraud: SidecarProcess) -> None:
    assert value(samples(fraud.url), "model_sidecar_build_info", version=__version__) == 1
