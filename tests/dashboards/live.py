"""Everything that the dashboards look at, for real: sidecars with real flights, Prometheus, Alertmanager, the receiver.

Rules are the shipped ones. Only how often they are evaluated, and how long alerts wait, is shorter. Windows are the
shipped ones too; a young Prometheus has filled but a little of them. One sidecar refused its configuration, one has no
reference, one is down.
"""

import asyncio
import json
import signal
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from demo.flights import FEATURES, load_flights
from demo.send import get, send
from demo.stack import Stack, monitoring
from sidecar.alerting.rules.policy import ALERTS
from sidecar.reference import Profile, build, save
from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes
from tests.kubernetes.rollback.support import deploy
from tests.plugins.serving import post, request
from tools.process import sidecar, started

NAMESPACE = "ml"
MODEL = "flights"
BODY_EVENTS = 150
PAUSE_SECONDS = 0.25

SETTINGS: dict[str, Any] = {
    "drift": {"interval": "1s", "slices": 1},
    "service": {"interval": "1s"},
    "objectives": {"interval": "1s"},
    "quality": {"interval": "1s"},
    "health": {"interval": "1s"},
    "routing": {"group_wait": "1s", "action_group_wait": "1s", "group_interval": "1s"},
    "alerts": {name: {"for": "1s"} for name, policy in ALERTS.items() if policy.for_ is not None},
}

POLICIES = f"""
dry_run: false
policies:
  - {{name: flights, action: rollback, namespaces: [{NAMESPACE}]}}
  - {{name: flights-down, action: scale_down, namespaces: [{NAMESPACE}], dry_run: true}}
"""


@dataclass(frozen=True)
class Live:
    """What runs, and since when."""

    stack: Stack
    since: float

    def asked(self, path: str, **parameters: str) -> Any:
        """Return what the API of Prometheus answers."""
        return get(f"{self.stack.prometheus_url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")["data"]

    def label_values(self, series: str, label: str) -> list[str]:
        return list(self.asked(f"label/{label}/values", **{"match[]": series, "start": str(self.since)}))

    def now(self, expr: str) -> list[dict[str, Any]]:
        return self.stack.query(expr)

    def over_time(self, expr: str, *, step_seconds: int) -> list[dict[str, Any]]:
        """Return what a query gives from the beginning to now, with now as its last step."""
        end = time.time()
        start = end - (end - self.since) // step_seconds * step_seconds
        times = {"start": str(start), "end": str(end), "step": str(step_seconds)}
        return list(self.asked("query_range", query=expr, **times)["result"])


def flights(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return flights as events, with what a simple model says of them."""
    plain = rows[FEATURES].astype(object).where(rows[FEATURES].notna(), None).to_dict("records")
    outputs = zip(*(outputs_of(rows)[name] for name in ("prediction", "probability")), strict=True)
    return [
        {"features": features, "prediction": said, "probability": float(sure)}
        for features, (said, sure) in zip(plain, outputs, strict=True)
    ]


def outputs_of(rows: pd.DataFrame) -> dict[str, Any]:
    sure = 1 / (1 + np.exp(-(rows.dep_delay.fillna(30) - 15) / 10))
    return {"prediction": ["late" if p > 0.5 else "on time" for p in sure], "probability": list(sure)}


def labels_of(rows: pd.DataFrame) -> list[str]:
    """Return what turned out to be true of each flight."""
    return ["late" if late > 15 else "on time" for late in rows.arr_delay]


def reference_of(rows: pd.DataFrame) -> Profile:
    columns = {**{name: rows[name] for name in FEATURES}, **outputs_of(rows)}
    return build(
        pd.DataFrame(columns),
        prediction="prediction",
        probability="probability",
        model=MODEL,
        model_version="1",
        source="january",
    )


@contextmanager
def traffic(urls: list[str], events: list[dict[str, Any]], labels: list[str]) -> Iterator[None]:
    """Send events to every sidecar, in turn, until the block ends; some are slow, some failed, most get a label."""
    stopped, failed, numbers = threading.Event(), [], count()
    random = np.random.default_rng(3)

    def body(flown: list[int], ids: list[str]) -> Iterator[dict[str, Any]]:
        for i, id_ in zip(flown, ids, strict=True):
            slow, wrong = random.random() < 0.1, random.random() < 0.1
            latency_ms = float(random.uniform(600, 900) if slow else 20)
            yield {**events[i], "latency_ms": latency_ms, "error": bool(wrong), "id": id_}

    def run() -> None:
        try:
            while not stopped.wait(PAUSE_SECONDS):
                for url in urls:
                    flown = random.integers(len(events), size=BODY_EVENTS).tolist()
                    ids = [str(next(numbers)) for _ in flown]
                    send(url, body(flown, ids))
                    known = [{"id": id_, "label": labels[i]} for i, id_ in zip(flown, ids, strict=True)]
                    answer = request(url, "POST", "/labels", json.dumps(known[: BODY_EVENTS // 2]).encode())
                    assert answer.status == 202, answer.text
        except (OSError, RuntimeError, AssertionError) as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
    assert not failed


@contextmanager
def kubernetes() -> Iterator[FakeKubernetes]:
    """Run a Kubernetes API with two releases of the model, on an event loop of its own."""
    fake = FakeKubernetes()
    deploy(fake, "flights:1", "flights:2")
    fake.edit(
        "deployments", "fraud-server", lambda d: d["metadata"]["labels"].update({"model-sidecar.io/model": MODEL})
    )
    ready, loop = threading.Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with fake.serve():
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(30)
    try:
        yield fake
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


@contextmanager
def receiver(directory: Path, api: str) -> Iterator[str]:
    """Run the receiver of rollbacks; yields its URL."""
    directory.mkdir()
    (directory / "policy.yml").write_text(POLICIES)
    kubeconfig = {
        "current-context": "fake",
        "clusters": [{"name": "fake", "cluster": {"server": api}}],
        "users": [{"name": "fake", "user": {"token": "t0ken"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
    }
    (directory / "kubeconfig").write_text(json.dumps(kubeconfig))
    command = [
        *(sys.executable, "-m", "sidecar", "rollback", "--web.listen-address=127.0.0.1:0"),
        f"--config.file={directory / 'policy.yml'}",
        f"--kubernetes.kubeconfig={directory / 'kubeconfig'}",
    ]
    with started(command, directory / "rollback.log", listeners=1) as (_, [address]):
        yield f"http://{address}"


@contextmanager
def everything(directory: Path) -> Iterator[Live]:
    """Start it all, and wait until the rules have spoken and the receiver has acted."""
    since = time.time()
    year = load_flights()
    january, storm = year[year.month == 1], year[(year.month == 2) & (year.day == 9)]
    save(reference_of(january.sample(frac=1, random_state=0)), directory / "reference.json")
    odd = pd.concat([january.sample(len(storm), random_state=1), storm])
    with ExitStack() as running:

        def replica(name: str, config: str) -> Any:
            own = directory / name
            own.mkdir()
            (own / "sidecar.yml").write_text(config)
            return running.enter_context(
                sidecar(own, config=own / "sidecar.yml", web=1, options=[f"--storage.path={own}/kept"])
            )

        labels = "labels: {ttl: 5s, min_labels: 20, positive: late}"
        using = f"models: [{{name: {MODEL}, reference: ../reference.json, {labels}}}]"
        usual, refusing = replica("usual", using), replica("refusing", using)
        learning = replica("learning", f"models: [{{name: {MODEL}}}]")
        with sidecar(directory, web=1) as gone:
            down = urlsplit(gone.web_urls[0]).netloc
        (directory / "refusing" / "sidecar.yml").write_text("models: none\n")
        refusing.process.send_signal(signal.SIGHUP)
        fake = running.enter_context(kubernetes())
        receives = running.enter_context(receiver(directory / "receiver", fake.url))
        replicas = [urlsplit(process.web_urls[0]).netloc for process in (usual, refusing, learning)]
        targets = {**dict.fromkeys([*replicas, down], NAMESPACE), urlsplit(receives).netloc: "operations"}
        tracks = {replicas[0]: "stable", replicas[1]: "canary"}
        stack = running.enter_context(
            monitoring(directory, targets, SETTINGS, action_url=f"{receives}/alerts", tracks=tracks)
        )
        send(learning.url, flights(january.head(100)))
        assert post(usual.url, {"features": {"dep_delay": "soon"}}).status == 422
        running.enter_context(traffic([usual.url, refusing.url], flights(odd), labels_of(odd)))
        for what, expr in {
            "drift over a day": "count(model_feature:drift_psi:ratio24h) >= 10",
            "a candidate against stable": "count(model_feature:candidate_drift_psi:ratio30m) >= 10",
            "its latency": "count(model:candidate_latency:p95_ratio30m)",
            "drift over an hour to reach everywhere": "count(model_feature_bin:drift_psi_contribution:top1h)",
            "labels of predictions whose time was over": "model:label_coverage:ratio1h > 0",
            "an alert on a feature": 'ALERTS{alertstate="firing", alertname="RollbackDataDrift", feature="dep_delay"}',
            "a rollback": 'model_rollback_decisions_total{action="rollback", outcome="done"} > 0',
            "a dry run": 'model_rollback_decisions_total{action="scale_down", outcome="dry_run"} > 0',
            "a while after it": "time() - model_rollback_last_action_timestamp_seconds > 3",
        }.items():
            stack.wait(what, lambda expr=expr: bool(stack.query(expr)), seconds=90)  # type: ignore[misc]
        yield Live(stack, since)
