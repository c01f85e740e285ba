"""Receiver: the webhook that Alertmanager calls, and what people and Prometheus may read.

Alertmanager sends again what is answered with 5xx and gives up at 4xx. So 200 is for all that is settled, done or not;
503 is for what should be tried again, with the alerts that were settled told apart by their history; 4xx is for what
can never work.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import web

from sidecar import __version__
from sidecar.base.log import Log
from sidecar.exposition.negotiation import exposition
from sidecar.kubernetes.rollback import history as histories
from sidecar.kubernetes.rollback.audit import Audit, entry
from sidecar.kubernetes.rollback.cluster.protocol import WORKLOADS, Cluster, ClusterError, NotFound, Object
from sidecar.kubernetes.rollback.cluster.workload import ENABLED_LABEL, annotations, metadata
from sidecar.kubernetes.rollback.history import UnreadableHistory
from sidecar.kubernetes.rollback.metrics import MALFORMED_ALERTS, NOTIFICATIONS, TRUNCATED_ALERTS, Metrics
from sidecar.kubernetes.rollback.outcome import RETRIED
from sidecar.kubernetes.rollback.payload import Alert, Notification, Unreadable, entries
from sidecar.kubernetes.rollback.policy import Rollback
from sidecar.kubernetes.rollback.respond import Decision, Responder
from sidecar.kubernetes.rollback.web.body import Bodies, Refused
from sidecar.kubernetes.rollback.web.turns import Turns

log = Log("sidecar.rollback")

DEADLINE_SECONDS = 25.0
"""How long a notification may take; what is left of it then is asked for again."""

RETRY_AFTER_SECONDS = 10

MALFORMED_TOLD = 20
"""Unusable alerts of a notification that are logged and listed one by one."""

_INDEX = f"""model-sidecar {__version__}, rollback receiver
POST /alerts     notifications of Alertmanager
GET  /history    decisions of this process, and what was done to each workload
GET  /metrics    for Prometheus
GET  /-/healthy, /-/ready
GET  /openapi.json   all of this for programs
"""


class Receiver:
    """Answer notifications."""

    def __init__(
        self,
        responder: Responder,
        audit: Audit,
        metrics: Metrics,
        cluster: Cluster | None,
        *,
        clock: Callable[[], float],
        description: bytes,
    ) -> None:
        self._responder = responder
        self._audit = audit
        self._metrics = metrics
        self._cluster = cluster
        self._clock = clock
        self._description = description
        self._bodies = Bodies()
        self._turns = Turns()
        self.ready = True

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/alerts", self.webhook),
            web.get("/", self.index),
            web.get("/history", self.history),
            web.get("/metrics", self.metrics),
            web.get("/-/healthy", self.healthy),
            web.get("/-/ready", self.readiness),
            web.get("/openapi.json", self.description),
        ]

    async def webhook(self, request: web.Request) -> web.Response:
        """Decide on every alert of a notification, one after the other."""
        deadline = self._clock() + DEADLINE_SECONDS
        try:
            async with self._bodies.read(request) as body:
                return await self._answered(await self._parsed(body), deadline)
        except Refused as error:
            log.warning("notification refused", status=error.status, reason=error)
            return self._answer(error.status, {"error": str(error)})
        except Unreadable as error:
            log.warning("notification not readable", error=error)
            return self._answer(400, {"error": str(error)})

    async def _answered(self, notification: Notification, deadline: float) -> web.Response:
        self._count(notification)
        if notification.malformed and not notification.alerts:
            raise Unreadable(f"no alert can be used: {notification.malformed[0]}")
        decisions: list[Decision] = []
        for alert in notification.alerts:
            decision = await self._decide(alert, remaining_seconds=deadline - self._clock())
            decisions.append(decision)
            await self._audit.note(decision)
            await self._turns.offer()
        briefs = []
        for decision in decisions:
            briefs.append(_brief(decision))
            await self._turns.offer()
        document = {"alerts": briefs, "malformed": notification.malformed[:MALFORMED_TOLD]}
        again = any(decision.outcome in RETRIED for decision in decisions)
        return self._answer(503 if again else 200, document)

    async def _parsed(self, body: bytes) -> Notification:
        reading = entries(body)
        for _ in reading.steps():
            await self._turns.offer()
        return reading.notification()

    async def _decide(self, alert: Alert, *, remaining_seconds: float) -> Decision:
        if remaining_seconds <= 0:
            return self._responder.defer(alert, f"the alerts before it took {DEADLINE_SECONDS:g} seconds")
        try:
            # Giving up in the middle equals a killed process: the next delivery resumes from there.
            async with asyncio.timeout(remaining_seconds):
                return await self._responder.respond(alert)
        except TimeoutError:
            return self._responder.defer(alert, f"the notification took more than {DEADLINE_SECONDS:g} seconds")

    def _count(self, notification: Notification) -> None:
        self._metrics.add(MALFORMED_ALERTS, by=len(notification.malformed))
        self._metrics.add(TRUNCATED_ALERTS, by=notification.truncated)
        for reason in notification.malformed[:MALFORMED_TOLD]:
            log.warning("alert not readable", reason=reason)
        if len(notification.malformed) > MALFORMED_TOLD:
            log.warning("more alerts not readable", alerts=len(notification.malformed) - MALFORMED_TOLD)
        if notification.truncated:
            log.warning("alerts left out by Alertmanager, raise its max_alerts", alerts=notification.truncated)

    async def history(self, request: web.Request) -> web.Response:
        """Answer with the decisions of this process, and the histories that workloads carry."""
        document: dict[str, Any] = {"decisions": list(reversed(self._audit.recent))}
        if self._cluster is not None:
            try:
                document["workloads"] = await _histories(self._cluster, self._responder.config)
            except ClusterError as error:
                document["error"] = str(error)
        return _json(200, document)

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer a scrape."""
        text, content_type = self._metrics.expose(request.headers.get("Accept", ""))
        return await exposition(request, text, content_type)

    async def index(self, request: web.Request) -> web.Response:
        """Answer with the list of endpoints."""
        return web.Response(text=_INDEX)

    async def description(self, request: web.Request) -> web.Response:
        """Answer with the description of all this for programs."""
        return web.Response(body=self._description, headers={"Content-Type": "application/json"})

    async def healthy(self, request: web.Request) -> web.Response:
        """Answer that the process is alive, for probes."""
        return web.Response(text="model-sidecar rollback is healthy.\n")

    async def readiness(self, request: web.Request) -> web.Response:
        """Answer whether notifications are taken. The Kubernetes API may be away: they are answered with 503 then."""
        if not self.ready:
            return web.Response(status=503, text="model-sidecar rollback is stopping.\n")
        return web.Response(text="model-sidecar rollback is ready.\n")

    def _answer(self, status: int, document: object) -> web.Response:
        self._metrics.add(NOTIFICATIONS, str(status))
        response = _json(status, document)
        if status == 503:
            response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response


def _brief(decision: Decision) -> dict[str, str]:
    told = entry(decision)
    return {name: told[name] for name in ("alert", "fingerprint", "action", "outcome", "reason", "workload")}


async def _histories(cluster: Cluster, config: Rollback) -> list[dict[str, Any]]:
    """Return what was done to every workload that is enabled or listed."""
    found: list[tuple[str, Object]] = []
    for namespace in config.namespaces():
        for kind in config.kinds:
            enabled = await cluster.list(WORKLOADS[kind], namespace, labels={ENABLED_LABEL: "enabled"})
            found += [(kind, document) for document in enabled]
    for listed in config.workloads:
        with suppress(NotFound):
            found.append((listed.kind, await cluster.get(WORKLOADS[listed.kind], listed.namespace, listed.name)))
    return [_history(kind, document) for kind, document in found]


def _history(kind: str, document: Object) -> dict[str, Any]:
    about = metadata(document)
    told = {"kind": kind, "namespace": about.get("namespace", ""), "name": about["name"]}
    try:
        history = histories.read([annotations(document)])
    except UnreadableHistory as error:
        return {**told, "error": str(error)}
    return {**told, "records": history.records[::-1], "rolled_back_from": history.rolled_back_from}


def _json(status: int, document: object) -> web.Response:
    body = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    return web.Response(status=status, body=body, headers={"Content-Type": "application/json"})
