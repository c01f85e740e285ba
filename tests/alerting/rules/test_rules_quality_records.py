"""Quality of the fleet as recorded equals the statistics of all labels together."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator

from sidecar.alerting.rules import names
from sidecar.base.duration import Duration
from sidecar.config import Config, LabelsConfig, ModelConfig
from sidecar.events.batch import Identified
from sidecar.monitor.label_join import Labels
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import LoadState
from sidecar.reports.collector import Collector

from .promtool import QUALITY_RECORDING, RULES, Check, check_rules

MODEL = '{namespace="prod", model="fraud"}'
CLASSES = ("fraud", "legitimate", "review")
STEPS = 61
"""Scrapes, one a minute, all of them in the two hours that the records are made to look at."""

BEFORE = 1000.0
"""What counters begin with: one that may have begun at zero is stretched less than others by `increase`."""

Pair = tuple[str, str, float]


def replica(random: Generator, *, right: float, labelled: float) -> tuple[dict[str, str], list[Pair]]:
    """Return the series of a sidecar with some labels a minute, and what it was told."""
    config = ModelConfig(
        name="fraud", windows=(Duration("2h"),), labels=LabelsConfig(classes=CLASSES, ttl=Duration("1s"))
    )
    monitor = Monitor(Config(models=(config,)), {"fraud": None}, now=0.0, start=datetime(2026, 11, 2, tzinfo=UTC))
    labels, collector = monitor.models["fraud"].labels, Collector(monitor, LoadState())
    assert labels is not None
    scrapes: list[dict[str, str]] = []
    pairs: list[Pair] = []
    for minute in range(STEPS):
        pairs += one_minute(labels, random, now=minute * 60.0, right=right, labelled=labelled)
        scrapes.append(wanted(collector, now=minute * 60.0 + 30))
    every = set().union(*scrapes)
    return {name: " ".join(scrape.get(name, "_") for scrape in scrapes) for name in every}, pairs


def one_minute(labels: Labels, random: Generator, *, now: float, right: float, labelled: float) -> list[Pair]:
    said = random.choice(CLASSES, 40)
    actual = np.where(random.random(40) < right, said, random.choice(CLASSES, 40))
    shares = random.random(40)
    ids = [f"{now} {i}" for i in range(40)]
    labels.keep(Identified(ids, said.tolist(), shares.tolist()), now=now)
    known = int(40 * labelled)
    assert labels.join([(i, str(a)) for i, a in zip(ids[:known], actual, strict=False)], now=now) == [None] * known
    return [(str(s), str(a), float(p)) for s, a, p in zip(said[:known], actual, shares, strict=False)]


def wanted(collector: Collector, *, now: float) -> dict[str, str]:
    lines = [line for of in collector.families(now=now).values() for line in of]
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith(("model_label", "model_calibration")))
    return {name: repr(BEFORE + float(value)) if "_total" in name else value for name, value in found.items()}


def named(series: Mapping[str, str], instance: str) -> dict[str, str]:
    labels = f'namespace="prod",job="model-sidecar",instance="{instance}",'
    return {name.replace("{", "{" + labels, 1): values for name, values in series.items()}


def near(record: str, value: float, labels: str) -> Check:
    return Check(f"{STEPS - 1}m", f"abs({record} - {float(value)!r}) < bool 1e-6", {labels: 1})


@pytest.fixture(scope="module")
def fleet() -> tuple[dict[str, str], list[Pair]]:
    random = np.random.default_rng(5)
    first, of_first = replica(random, right=0.9, labelled=0.75)
    second, of_second = replica(random, right=0.3, labelled=0.25)
    # An increase leaves out what the first scrape in the range had.
    return {**named(first, "a:1"), **named(second, "b:1")}, [*of_first[30:], *of_second[10:]]


def test_statistics_are_those_of_all_labels_of_all_replicas(
    fleet: tuple[dict[str, str], list[Pair]], tmp_path: Path
) -> None:
    series, pairs = fleet
    said, actual, shares = (np.array(column) for column in zip(*pairs, strict=True))
    right = said == actual
    bins = np.minimum((shares * 10).astype(int), 9)
    calibration = sum(abs(shares[bins == b].sum() - right[bins == b].sum()) for b in range(10)) / len(pairs)
    checks = [
        near(names.accuracy("2h"), right.mean(), MODEL),
        near(names.brier_score("2h"), ((shares - right) ** 2).mean(), MODEL),
        near(names.calibration_error("2h"), calibration, MODEL),
        near(names.label_coverage("2h"), (0.75 + 0.25) / 2, MODEL),
    ]
    for name in CLASSES:
        labels = f'{{namespace="prod", model="fraud", class="{name}"}}'
        checks.append(near(names.precision("2h") + f'{{class="{name}"}}', right[said == name].mean(), labels))
        checks.append(near(names.recall("2h") + f'{{class="{name}"}}', right[actual == name].mean(), labels))
    rules = tmp_path / "quality.yml"
    rules.write_text(QUALITY_RECORDING.read_text().replace("1h", "2h"))
    check_rules(tmp_path, files=[rules], series=series, checks=checks)


def test_without_labels_nothing_is_recorded_and_nothing_fires(tmp_path: Path) -> None:
    config = ModelConfig(name="fraud", labels=LabelsConfig())
    monitor = Monitor(Config(models=(config,)), {"fraud": None}, now=0.0, start=datetime(2026, 11, 2, tzinfo=UTC))
    series = {name: f"{value}x70" for name, value in wanted(Collector(monitor, LoadState()), now=1.0).items()}
    assert "model_labels_compared_total" in "".join(series)
    ratios = [
        names.accuracy("1h"),
        names.precision("1h"),
        names.recall("1h"),
        names.brier_score("1h"),
        names.calibration_error("1h"),
        names.mean_absolute_error("1h"),
        names.root_mean_square_error("1h"),
        names.label_coverage("1h"),
        "ALERTS",
    ]
    check_rules(
        tmp_path,
        files=[QUALITY_RECORDING, RULES / "quality.alerts.yml"],
        series=named(series, "a:1"),
        checks=[Check("70m", ratio, {}) for ratio in ratios],
    )
