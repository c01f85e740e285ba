"""From events to notifications: two real sidecars, the real Prometheus and Alertmanager, real flights.

Windows and durations are those of a settings file; the rules are the shipped ones.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest

from demo.flights import FEATURES, load_flights
from demo.send import send
from demo.stack import TOKEN, MissingProgram, Stack, monitoring
from sidecar.alerting.rules.policy import ALERTS
from sidecar.reference import CategoricalProfile, Profile, build, save
from sidecar.serve.alertmanager import held_alerts
from tests import oracle
from tools.process import SidecarProcess, sidecar

NAMESPACE = "flights-production"
MODEL = "flights"

SETTINGS: dict[str, Any] = {
    "drift": {"windows": ["10s", "20s", "2m"], "alert_window": "10s", "interval": "1s", "slices": 1},
    "service": {"window": "10s", "interval": "1s"},
    "objectives": {
        "interval": "1s",
        "burn": [{"factor": 14.4, "long": "20s", "short": "5s", "severity": "critical", "for": "1s"}],
    },
    "health": {"interval": "1s", "loss_window": "10s", "quiet_window": "20s", "history_window": "40s"},
    "routing": {"group_wait": "1s", "action_group_wait": "1s", "group_interval": "1s"},
    "alerts": {name: {"for": "2s"} for name, policy in ALERTS.items() if policy.for_ is not None},
}

BODY_EVENTS = 100
PAUSE_SECONDS = 0.25


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return load_flights()


@pytest.fixture(scope="module")
def january(flights: pd.DataFrame) -> pd.DataFrame:
    return flights[flights.month == 1]


@pytest.fixture(scope="module")
def storm(flights: pd.DataFrame) -> pd.DataFrame:
    return flights[(flights.month == 2) & (flights.day == 9)]


@pytest.fixture(scope="module")
def reference(january: pd.DataFrame) -> Profile:
    shuffled = january[FEATURES].sample(frac=1, random_state=0)
    return build(shuffled, model=MODEL, source="january")


def events_of(rows: pd.DataFrame) -> list[dict[str, Any]]:
    plain = rows[FEATURES].astype(object).where(rows[FEATURES].notna(), None)
    return [{"features": features} for features in plain.to_dict("records")]


def mixed(usual: pd.DataFrame, odd: pd.DataFrame, share: float) -> list[dict[str, Any]]:
    """Return 4000 flights, `share` of them odd ones."""
    count = round(4000 * share)
    parts = [usual.sample(4000 - count, random_state=1), odd.sample(count, replace=True, random_state=2)]
    return events_of(pd.concat(parts))


class Traffic:
    """Send events to every replica, in turn, until told to stop; what is sent can be changed on the way."""

    def __init__(self, urls: Sequence[str], events: list[dict[str, Any]]) -> None:
        self.events = events
        self.latency_ms: Callable[[np.random.Generator], float] = lambda random: float(random.uniform(1, 20))
        self.error_share = 0.0
        self._urls = urls
        self._stopped = threading.Event()
        self._failed: list[Exception] = []
        self._random = np.random.default_rng(3)
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def flowing(self) -> Iterator["Traffic"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            self._thread.join()
        assert not self._failed

    def _run(self) -> None:
        try:
            while not self._stopped.wait(PAUSE_SECONDS):
                for url in self._urls:
                    send(url, (self._event() for _ in range(BODY_EVENTS)))
        except (OSError, RuntimeError) as error:
            self._failed.append(error)

    def _event(self) -> dict[str, Any]:
        event = self.events[int(self._random.integers(len(self.events)))]
        failed = bool(self._random.random() < self.error_share)
        return {**event, "latency_ms": self.latency_ms(self._random), "error": failed}


@contextmanager
def replicas(directory: Path, reference: Profile, count: int) -> Iterator[list[SidecarProcess]]:
    save(reference, directory / "reference.json")
    config = directory / "sidecar.yml"
    config.write_text(f"models:\n  - {{name: {MODEL}, reference: reference.json}}\n")
    with ExitStack() as stack:
        started = []
        for i in range(count):
            own = directory / f"replica-{i}"
            own.mkdir()
            started.append(stack.enter_context(sidecar(own, config=config, web=1)))
        yield started


def scraped(sidecars: Sequence[SidecarProcess]) -> dict[str, str]:
    return {urlsplit(process.web_urls[0]).netloc: NAMESPACE for process in sidecars}


@contextmanager
def watched(directory: Path, sidecars: Sequence[SidecarProcess]) -> Iterator[Stack]:
    try:
        with monitoring(directory, scraped(sidecars), SETTINGS) as stack:
            yield stack
    except MissingProgram as missing:
        pytest.fail(f"programs are missing; run: {missing}")


def test_drift_is_quiet_on_usual_traffic_reaches_its_receiver_when_it_comes_and_resolves_when_it_goes(
    tmp_path: Path, january: pd.DataFrame, storm: pd.DataFrame, reference: Profile
) -> None:
    usual = mixed(january, storm, 0.0)
    with (
        replicas(tmp_path, reference, 2) as sidecars,
        watched(tmp_path, sidecars) as stack,
        Traffic([process.url for process in sidecars], usual).flowing() as traffic,
    ):
        stack.wait(
            "drift of the whole alert window",
            lambda: (stack.value("min(model_feature:observations:increase20s)") or 0) > 12_000,
            seconds=90,
        )
        assert stack.query('ALERTS{alertname!~"ModelSidecarNoEvents"}') == []
        assert stack.inbox.notifications == []

        traffic.events = mixed(january, storm, 0.27)
        alert = stack.inbox.wait("alert", "CriticalDataDrift", feature="dep_delay", seconds=60)
        assert alert["labels"] == {
            "alertname": "CriticalDataDrift",
            "namespace": NAMESPACE,
            "model": MODEL,
            "reference": reference.fingerprint,
            "role": "input",
            "feature": "dep_delay",
            "severity": "critical",
            "action": "alert",
        }
        assert alert["annotations"]["runbook_url"].endswith("/CriticalDataDrift.md")
        assert "dep_delay" in alert["annotations"]["summary"]
        assert not [a for r, a in stack.inbox.alerts() if r == "rollback"]

        traffic.events = events_of(storm)
        alert = stack.inbox.wait("rollback", "RollbackDataDrift", feature="dep_delay", seconds=60)
        assert alert["labels"]["action"] == "rollback"
        assert alert["labels"]["namespace"] == NAMESPACE
        grouped = next(n for n in stack.inbox.notifications if n.receiver == "rollback")
        assert grouped.authorization == f"Bearer {TOKEN}"
        assert grouped.payload["version"] == "4"
        assert grouped.payload["groupLabels"] == {"model": MODEL, "namespace": NAMESPACE}
        held = asyncio.run(held_alerts(stack.alertmanager_url, {MODEL}))
        on_delays = {a["labels"]["alertname"]: a["state"] for a in held if a["labels"].get("feature") == "dep_delay"}
        assert on_delays["RollbackDataDrift"] == "active"
        assert on_delays.get("CriticalDataDrift", "suppressed") == "suppressed"
        quiet = {a["labels"]["feature"] for _, a in stack.inbox.alerts() if "feature" in a["labels"]}
        assert quiet <= {"dep_delay", "arr_delay", "air_time"}

        traffic.events = usual
        stack.inbox.wait("rollback", "RollbackDataDrift", status="resolved", feature="dep_delay", seconds=90)
        stack.inbox.wait("alert", "CriticalDataDrift", status="resolved", feature="dep_delay", seconds=90)


def test_slow_and_failing_predictions_reach_the_receivers_of_their_actions(
    tmp_path: Path, january: pd.DataFrame, storm: pd.DataFrame, reference: Profile
) -> None:
    usual = mixed(january, storm, 0.0)
    with (
        replicas(tmp_path, reference, 2) as sidecars,
        watched(tmp_path, sidecars) as stack,
        Traffic([process.url for process in sidecars], usual).flowing() as traffic,
    ):
        traffic.latency_ms = lambda random: 800.0 if random.random() < 0.1 else 5.0
        alert = stack.inbox.wait("scale_down", "CriticalP99Latency", seconds=60)
        assert alert["labels"]["action"] == "scale_down"
        assert alert["labels"]["model"] == MODEL

        traffic.latency_ms = lambda random: 5.0
        traffic.error_share = 0.2
        alert = stack.inbox.wait("rollback", "HighErrorRate", seconds=60)
        assert alert["labels"]["namespace"] == NAMESPACE

        traffic.error_share = 0.0
        stack.inbox.wait("scale_down", "CriticalP99Latency", status="resolved", seconds=90)
        stack.inbox.wait("rollback", "HighErrorRate", status="resolved", seconds=90)


def test_fleet_drift_in_prometheus_equals_numpy_on_all_events_over_a_restart(
    tmp_path: Path, january: pd.DataFrame, storm: pd.DataFrame, reference: Profile
) -> None:
    shifted = mixed(january, storm, 0.2)
    random = np.random.default_rng(5)
    sent: list[dict[str, Any]] = []

    def send_some(url: str, count: int) -> None:
        chosen = [shifted[i] for i in random.integers(len(shifted), size=count)]
        sent.extend(chosen)
        send(url, chosen)

    config = tmp_path / "sidecar.yml"
    with replicas(tmp_path, reference, 2) as (first, second), ExitStack() as later:
        own = tmp_path / "third"
        own.mkdir()
        third = later.enter_context(sidecar(own, config=config, web=1))
        address = urlsplit(third.web_urls[0]).netloc
        with watched(tmp_path, [first, second, third]) as stack:

            def counted() -> bool:
                return stack.value("sum(model_predictions_total)") == len(sent)

            stack.wait("every replica to be scraped", lambda: stack.value("sum(up)") == 3, seconds=30)
            for _ in range(5):
                for url, count in ((first.url, 900), (second.url, 300), (third.url, 600)):
                    send_some(url, count)
            stack.wait("the events to be scraped", counted, seconds=30)
            later.close()
            stack.wait("the replica to be gone", lambda: stack.value("sum(up)") == 2, seconds=30)
            third = later.enter_context(sidecar(own, config=config, options=[f"--web.listen-address={address}"], web=0))
            stack.wait("the replica to be back", lambda: stack.value("sum(up)") == 3, seconds=30)
            for _ in range(5):
                for url, count in ((first.url, 300), (second.url, 900), (third.url, 600)):
                    send_some(url, count)
            seen: list[float | None] = []

            def settled() -> bool:
                seen.append(stack.value("sum(model_feature:observations:increase2m)"))
                return seen[-1] is not None and seen[-25:] == [seen[-1]] * 25

            stack.wait("the records to hold all events", settled, seconds=60)
            recorded = {
                row["metric"]["feature"]: float(row["value"][1])
                for row in stack.query("model_feature:drift_psi:ratio2m")
            }
    expected = psi_by_numpy(sent, reference)
    assert set(recorded) == set(expected)
    for feature in ("dep_delay", "arr_delay", "air_time"):
        assert recorded[feature] == pytest.approx(expected[feature], rel=0.01)
    for feature, psi in expected.items():
        assert recorded[feature] == pytest.approx(psi, rel=0.02, abs=2e-4)


def psi_by_numpy(events: Sequence[dict[str, Any]], reference: Profile) -> dict[str, float]:
    result = {}
    for feature in reference.features:
        values = [event["features"][feature.name] for event in events]
        if isinstance(feature, CategoricalProfile):
            listed = [sum(value == name for value in values) for name in feature.categories]
            missing = sum(value is None for value in values)
            live = np.array([*listed, len(values) - sum(listed) - missing, missing], dtype=float)
        else:
            numbers = np.array(values, dtype=float)
            edges = pairwise([-np.inf, *feature.edges, np.inf])
            inside = [((numbers > low) & (numbers <= high)).sum() for low, high in edges]
            live = np.array([*inside, np.isnan(numbers).sum()], dtype=float)
        r = oracle.reference_shares(feature.bin_counts())
        result[feature.name] = oracle.psi(oracle.live_shares(live, r), r)
    return result
