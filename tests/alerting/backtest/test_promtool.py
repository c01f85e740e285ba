"""The backtest against Prometheus itself: the same scrapes, the shipped rules, every minute compared."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from sidecar.alerting.backtest.openmetrics import backfill
from sidecar.alerting.backtest.study import Plan, Study, keys_of, run
from sidecar.alerting.rules import names, product
from sidecar.reference import Profile
from tests.alerting.rules.promtool import Check, check_rules

from .support import afternoon, history, plan, reference, reference_by_season

FILES = ("drift.recording.yml", "service.recording.yml", "drift.alerts.yml", "service.alerts.yml")
FIRING = 'count by (alertname, feature, slo, long_window) (ALERTS{alertstate="firing"})'


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("promtool")
    afternoon().lines(path / "events.jsonl")
    for name, text in product(plan().settings).items():
        if str(name) in FILES:
            (path / name).write_text(text)
    return path


@pytest.fixture(scope="module")
def the_plan() -> Plan:
    return plan()


@pytest.fixture(scope="module", params=[reference, reference_by_season])
def profile(request: pytest.FixtureRequest) -> Profile:
    return cast(Profile, request.param())


@pytest.fixture(scope="module")
def found(directory: Path, the_plan: Plan, profile: Profile) -> Iterator[Study]:
    with run(history(directory / "events.jsonl", profile=profile), the_plan) as study:
        yield study


@pytest.fixture(scope="module")
def series(directory: Path, the_plan: Plan, profile: Profile) -> dict[str, str]:
    """What was scraped, as promtool writes it: one value a minute from the first scrape on."""
    path = directory / "history.om"
    backfill(history(directory / "events.jsonl", profile=profile), the_plan, path, labels={"namespace": "prod"})
    values = defaultdict(list)
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            sample, number, _ = line.rsplit(" ", 2)
            values[sample].append(number)
    # Gauges of the sidecar's own windows are absent at first, which these rules do not read.
    whole = max(map(len, values.values()))
    return {name: " ".join(numbers) for name, numbers in values.items() if len(numbers) == whole}


def minutes(found: Study) -> range:
    return range(1, found.span.end - found.span.begin + 1)


def firing_series(found: Study, minute: int) -> dict[str, float]:
    """Return the alerts that fire at a minute after the first scrape, as Prometheus would name them."""
    at = (found.span.begin + minute) * 60.0
    firing: dict[str, float] = {}
    for f in found.firings:
        if f.start <= at < f.end or (f.start <= at and not f.ended):
            labels = {"alertname": f.alert}
            if f.alert.endswith("Drift"):
                labels["feature"] = f.subject
            elif f.alert.endswith("Burn"):
                slo, windows = f.subject.split(" ")
                labels |= {"slo": slo, "long_window": windows.split("/")[0]}
            name = "{" + ", ".join(f'{k}="{v}"' for k, v in labels.items()) + "}"
            firing[name] = firing.get(name, 0) + 1
    return firing


def drift_checks(found: Study, window: str) -> Iterator[Check]:
    """Expect each PSI and what chance explains at every minute, or that there is neither."""
    drifts = found.series_of(window)
    factors = found.comparison.significance_factor
    assert np.isfinite(drifts.psi).mean() > 0.5
    assert np.isnan(drifts.psi[:, :2]).all()
    for number, key in enumerate(keys_of(found.comparison)):
        least = drifts.threshold(number, factors[number])
        for i, time in enumerate(drifts.evaluated.times().tolist()):
            at = f"{time // 60_000 - found.span.begin}m"
            for record, value in ((names.psi(window), drifts.psi[number, i]), (names.psi_threshold(window), least[i])):
                series = f'{record}{{feature="{key.name}"}}'
                if np.isnan(drifts.psi[number, i]):
                    yield Check(at, series, {})
                else:
                    yield Check(at, f"count(abs({series} - {float(value)!r}) < 1e-9)", {"{}": 1})


def test_prometheus_computes_the_same_drift_and_fires_the_same_alerts_at_every_minute(
    found: Study, series: dict[str, str], directory: Path
) -> None:
    firing = [Check(f"{minute}m", FIRING, firing_series(found, minute)) for minute in minutes(found)]
    fired = {f.alert for f in found.firings}
    assert {"CriticalDataDrift", "CriticalPredictionDrift", "HighP95Latency", "HighErrorRate"} <= fired
    assert {"LatencyBudgetBurn", "ErrorBudgetBurn"} <= fired
    assert sum(not check.samples for check in firing) > 20
    checks = [*firing, *drift_checks(found, "5m"), *drift_checks(found, "20m")]

    check_rules(directory, files=[directory / name for name in FILES], series=series, checks=checks)
