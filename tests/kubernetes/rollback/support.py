"""Objects, notifications and receivers for the tests."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from lightkube import KubeConfig
from lightkube.config.models import Cluster, User

from sidecar.kubernetes.rollback import policy as policies
from sidecar.kubernetes.rollback.audit import Audit
from sidecar.kubernetes.rollback.cluster.api import Kubernetes
from sidecar.kubernetes.rollback.executors.table import Executors
from sidecar.kubernetes.rollback.executors.webhook import HandOn
from sidecar.kubernetes.rollback.metrics import Metrics
from sidecar.kubernetes.rollback.payload import Alert
from sidecar.kubernetes.rollback.policy import Rollback
from sidecar.kubernetes.rollback.respond import Responder
from sidecar.kubernetes.rollback.web.receiver import Receiver
from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes, Object

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

ACTIVE = """
dry_run: false
kinds: [Deployment, Rollout, InferenceService]
policies:
  - name: fraud
    action: rollback
    namespaces: [ml]
  - name: fraud-down
    action: scale_down
    namespaces: [ml]
    scale: {to: 1, floor: 2}
"""


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


def labels(**changed: str) -> dict[str, str]:
    """Return the labels of an alert, changed; one set to an empty text is left out."""
    base = {
        "alertname": "RollbackDataDrift",
        "action": "rollback",
        "namespace": "ml",
        "model": "fraud",
        "severity": "critical",
        "feature": "amount",
        "role": "input",
        "reference": "0a1b2c3d",
    }
    return {name: value for name, value in {**base, **changed}.items() if value}


def alert_json(
    *, fingerprint: str = "f00d", starts_at: datetime = NOON, status: str = "firing", **changed: str
) -> dict[str, Any]:
    return {
        "status": status,
        "labels": labels(**changed),
        "annotations": {"summary": "amount has moved"},
        "startsAt": starts_at.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": fingerprint,
    }


def notification(*alerts: dict[str, Any]) -> bytes:
    document = {
        "version": "4",
        "groupKey": '{}/{action="rollback"}:{}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "rollback",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": list(alerts or (alert_json(),)),
    }
    return json.dumps(document).encode()


def an_alert(*, firing: bool = True, starts_at: datetime = NOON, **changed: str) -> Alert:
    return Alert(firing=firing, labels=labels(**changed), starts_at=starts_at, fingerprint="f00d")


def policy(text: str = ACTIVE, directory: Path = Path()) -> Rollback:
    return policies.parse(text, directory / "policy.yml")


def template(image: str = "fraud:1", *, version: str = "", extra: str = "") -> Object:
    about: Object = {"labels": {"app": "fraud"}}
    if version:
        about["labels"]["model-sidecar.io/model-version"] = version
    if extra:
        about["annotations"] = {"note": extra}
    containers = [{"name": "server", "image": f"registry/{image}"}, {"name": "model-sidecar", "image": "sidecar:1"}]
    return {"metadata": about, "spec": {"containers": containers}}


def workload(kind: str = "Deployment", name: str = "fraud-server", **spec: Any) -> Object:
    versions = {"Deployment": "apps/v1", "Rollout": "argoproj.io/v1alpha1"}
    return {
        "apiVersion": versions[kind],
        "kind": kind,
        "metadata": {
            "name": name,
            "labels": {"model-sidecar.io/model": "fraud", "model-sidecar.io/rollback": "enabled"},
        },
        "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "fraud"}}, "template": template(), **spec},
    }


def deploy(fake: FakeKubernetes, *images: str, kind: str = "Deployment", name: str = "fraud-server") -> None:
    """Roll out one image after the other, an hour apart, the last of them two hours ago."""
    plural = f"{kind.lower()}s"
    clock, now = fake.now, fake.now()
    for i, image in enumerate(images):
        moment = now - timedelta(hours=1 + len(images) - i)
        fake.now = lambda moment=moment: moment  # type: ignore[misc]
        if i == 0:
            fake.put(plural, workload(kind, name, template=template(image)))
        else:
            fake.edit(plural, name, lambda o, image=image: o["spec"].update(template=template(image)))  # type: ignore[misc]
    fake.now = clock
    fake.log.clear()


def images(document: Object) -> list[str]:
    return [c["image"].removeprefix("registry/") for c in document["spec"]["template"]["spec"]["containers"][:1]]


def history(document: Object) -> list[Object]:
    """Return the records in the annotations of a workload."""
    records = document["metadata"]["annotations"].get("model-sidecar.io/rollback-history", "[]")
    return list(json.loads(records))


def rule(verb: str, resource: str) -> Callable[[Any], bool]:
    return lambda request: (request.verb, request.resource) == (verb, resource)


@dataclass
class Running:
    """A receiver that listens on loopback."""

    url: str
    session: aiohttp.ClientSession
    metrics: Metrics
    responder: Responder

    async def send(self, *alerts: dict[str, Any]) -> tuple[int, list[str]]:
        """Deliver alerts; return the status and the outcomes."""
        status, document = await self.post(notification(*alerts))
        return status, [entry["outcome"] for entry in document.get("alerts", [])]

    async def post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        async with self.session.post(f"{self.url}/alerts", data=BytesIO(body)) as response:
            return response.status, await response.json()

    async def get(self, path: str) -> Any:
        async with self.session.get(f"{self.url}{path}") as response:
            return await response.json()

    async def scrape(self) -> str:
        async with self.session.get(f"{self.url}/metrics") as response:
            return await response.text()


@asynccontextmanager
async def receiver(
    fake: FakeKubernetes,
    clock: Clock,
    config: Rollback | None = None,
    *,
    instance: str = "one",
    timeout_seconds: float = 5.0,
    ticks: Callable[[], float] = lambda: 0.0,
) -> AsyncIterator[Running]:
    """Start a receiver that speaks to the fake over HTTP, by the client that is used for real."""
    metrics = Metrics()
    connection = KubeConfig.from_one(cluster=Cluster(server=fake.url), user=User(token="t0ken"))
    cluster = Kubernetes(connection, timeout_seconds=timeout_seconds, observe=metrics.requested)
    async with aiohttp.ClientSession() as session:
        responder = Responder(config or policy(), cluster, Executors(HandOn(session)), instance=instance, now=clock)
        audit = Audit(metrics, cluster)
        application = web.Application()
        application.router.add_routes(
            Receiver(responder, audit, metrics, cluster, clock=ticks, description=b"{}").routes()
        )
        server = TestServer(application)
        await server.start_server(auto_decompress=False)
        try:
            yield Running(str(server.make_url("")).rstrip("/"), session, metrics, responder)
        finally:
            await server.close()
            await cluster.close()
