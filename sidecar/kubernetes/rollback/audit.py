"""Audit: every decision as one log line, a count, an entry of `/history`, and an Event where a person should know."""

from collections import deque
from datetime import datetime
from typing import Any

from sidecar.base.log import Log
from sidecar.kubernetes.rollback.cluster.protocol import EVENT, WORKLOADS, Cluster, ClusterError, Conflict, Object
from sidecar.kubernetes.rollback.cluster.workload import Workload, metadata
from sidecar.kubernetes.rollback.metrics import (
    DECISIONS,
    EVENT_FAILURES,
    LAST_ACTION,
    MODEL_LAST_ACTION,
    NO_ACTION,
    Metrics,
)
from sidecar.kubernetes.rollback.outcome import RETRIED, TOLD, Outcome
from sidecar.kubernetes.rollback.policy import Action
from sidecar.kubernetes.rollback.respond import Decision

log = Log("sidecar.rollback")

KEPT = 500
"""Decisions that `/history` shows; what was done to a workload is also in its annotations."""

_DONE: dict[Action, str] = {"rollback": "ModelRolledBack", "scale_down": "ModelScaledDown"}


class Audit:
    """Record decisions. Without a cluster, `cluster` is None and no Events are written."""

    def __init__(self, metrics: Metrics, cluster: Cluster | None) -> None:
        self._metrics = metrics
        self._cluster = cluster
        self.recent: deque[dict[str, Any]] = deque(maxlen=KEPT)

    async def note(self, decision: Decision) -> None:
        """Tell of a decision; an Event that cannot be written is counted and changes nothing."""
        policy, outcome = decision.policy, decision.outcome
        self._metrics.add(DECISIONS, policy.action if policy else NO_ACTION, outcome.value)
        if policy and outcome is Outcome.DONE:
            self._metrics.set(LAST_ACTION, policy.name, policy.action, to=decision.at.timestamp())
        if policy and decision.workload and outcome in (Outcome.DONE, Outcome.DRY_RUN):
            place = (decision.workload.namespace, decision.alert.labels.get("model", ""))
            self._metrics.set(MODEL_LAST_ACTION, *place, policy.action, outcome.value, to=decision.at.timestamp())
        told = entry(decision)
        self.recent.append(told)
        write = log.warning if outcome in RETRIED else log.info
        write("decided", **{name: value for name, value in told.items() if value not in ("", None)})
        if self._cluster and decision.workload and not decision.dry_run and outcome in TOLD:
            await self._tell(self._cluster, decision, decision.workload)

    async def _tell(self, cluster: Cluster, decision: Decision, workload: Workload) -> None:
        try:
            await cluster.create(EVENT, workload.namespace, event(decision, workload))
        except Conflict:
            return  # written at an earlier delivery of the same alert
        except ClusterError as error:
            self._metrics.add(EVENT_FAILURES)
            log.warning("event not written", workload=workload, namespace=workload.namespace, error=error)


def entry(decision: Decision) -> dict[str, Any]:
    """Return a decision as fields, for the log and for `/history`."""
    alert, policy, plan, workload = decision.alert, decision.policy, decision.plan, decision.workload
    return {
        "at": _text(decision.at),
        "outcome": decision.outcome.value,
        "reason": decision.reason,
        "action": policy.action if policy else "",
        "policy": policy.name if policy else "",
        "executor": decision.executor,
        "dry_run": decision.dry_run if policy else None,
        "namespace": workload.namespace if workload else alert.labels.get("namespace", ""),
        "workload": str(workload) if workload else "",
        "model": alert.labels.get("model", ""),
        "from": plan.from_ if plan else "",
        "to": plan.to if plan else "",
        "alert": alert.name,
        "feature": alert.labels.get("feature", ""),
        "starts_at": _text(alert.starts_at),
        "fingerprint": alert.fingerprint,
        "key": decision.key,
    }


def event(decision: Decision, workload: Workload) -> Object:
    """Return the Event for a decision; its name makes the same one at every delivery, so that it is written once."""
    policy = decision.policy
    assert policy is not None
    done = decision.outcome is Outcome.DONE
    outcome = decision.outcome.value.replace("_", "-")
    kind, about, at = WORKLOADS[workload.kind], metadata(workload.document), _text(decision.at)
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.name,
        "metadata": {
            "name": f"{workload.name[:200].rstrip('-.')}.{decision.key}.{outcome}",
            "namespace": workload.namespace,
        },
        "involvedObject": {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "namespace": workload.namespace,
            "name": workload.name,
            "uid": about.get("uid", ""),
        },
        "type": "Normal" if done else "Warning",
        "reason": _DONE[policy.action] if done else "ModelRollbackNotDone",
        "message": f"{decision.reason} ({decision.alert.name}; policy {policy.name}; {outcome})"[:1024],
        "source": {"component": "model-sidecar"},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


def _text(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
