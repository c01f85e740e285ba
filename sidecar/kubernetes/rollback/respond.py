"""Respond: one alert, from the policy to what came of it.

Somebody else may change the workload between reading and patching it, and so may another receiver that was sent the
same alert. The patch then fails, and everything is read and decided again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sidecar.kubernetes.rollback.cluster.protocol import ATTEMPTS, Cluster, ClusterError, Conflict, Unavailable
from sidecar.kubernetes.rollback.cluster.shapes import Misshapen
from sidecar.kubernetes.rollback.cluster.workload import Workload, appliers
from sidecar.kubernetes.rollback.decide import Act, Failures, Skip, admit, decide
from sidecar.kubernetes.rollback.executors.claim import carry_out
from sidecar.kubernetes.rollback.executors.executor import Failed
from sidecar.kubernetes.rollback.executors.table import Executors
from sidecar.kubernetes.rollback.find import find
from sidecar.kubernetes.rollback.outcome import Outcome
from sidecar.kubernetes.rollback.payload import Alert
from sidecar.kubernetes.rollback.plan import Plan
from sidecar.kubernetes.rollback.policy import Policy, Rollback


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What came of an alert, and how. `executor` and `plan` are there where it came to a plan."""

    at: datetime
    alert: Alert
    outcome: Outcome
    reason: str
    policy: Policy | None = None
    workload: Workload | None = None
    plan: Plan | None = None
    executor: str = ""
    dry_run: bool = False

    @property
    def key(self) -> str:
        """Return the idempotency key, empty where no policy says which action."""
        return self.alert.key(self.policy.action) if self.policy else ""


class Responder:
    """Decide on alerts and carry out what is decided. `cluster` is None without a cluster."""

    def __init__(
        self,
        config: Rollback,
        cluster: Cluster | None,
        executors: Executors,
        *,
        instance: str,
        now: Callable[[], datetime],
    ) -> None:
        self.config = config
        self._cluster = cluster
        self._executors = executors
        self._instance = instance
        self._now = now
        self._failures: dict[tuple[str, str], Failures] = {}

    async def respond(self, alert: Alert) -> Decision:
        """Decide on an alert and carry it out; never raises for what the cluster answers."""
        now = self._now()
        admitted = admit(alert, self.config, now=now)
        if isinstance(admitted, Skip):
            policy = self.config.policy_for(alert)
            return Decision(at=now, alert=alert, policy=policy, outcome=admitted.outcome, reason=admitted.reason)
        policy, namespace = admitted
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt(alert, policy, namespace)
            except Conflict:
                continue
            except Unavailable as error:
                return self._decision(alert, policy, Outcome.UNAVAILABLE, str(error))
            except Misshapen as error:
                return self._decision(alert, policy, Outcome.UNSUPPORTED, str(error))
            except ClusterError as error:
                return self._decision(alert, policy, Outcome.FAILED, str(error))
        reason = f"the workload changed {ATTEMPTS} times while it was decided on"
        return self._decision(alert, policy, Outcome.CONFLICT, reason)

    def defer(self, alert: Alert, reason: str) -> Decision:
        """Leave an alert for the next delivery."""
        return Decision(at=self._now(), alert=alert, outcome=Outcome.DEFERRED, reason=reason)

    async def _attempt(self, alert: Alert, policy: Policy, namespace: str) -> Decision:
        model = alert.labels.get("model", "")
        found = await find(self._cluster, self.config, model=model, namespace=namespace, action=policy.action)
        decided = decide(
            alert,
            policy,
            found,
            config=self.config,
            planner=self._executors.plan,
            failures=self._failures.get((namespace, found[0].name), Failures()) if found else Failures(),
            instance=self._instance,
            now=self._now(),
        )
        if isinstance(decided, Skip):
            return self._decision(alert, policy, decided.outcome, decided.reason, decided.workload, decided.plan)
        assert self._cluster is not None
        return await self._carry_out(self._cluster, policy, decided)

    async def _carry_out(self, cluster: Cluster, policy: Policy, act: Act) -> Decision:
        executor = self._executors.choose(policy, act.workload)
        assert executor is not None
        timeout = self.config.claim_timeout.seconds
        place = (act.workload.namespace, act.workload.name)
        try:
            await carry_out(cluster, executor, policy, act, claim_timeout_seconds=timeout)
        except (Conflict, Unavailable):
            raise
        except (Failed, ClusterError) as error:
            before = self._failures.get(place, Failures())
            self._failures[place] = Failures(before.count + 1, self._now())
            return self._decision(act.alert, policy, Outcome.FAILED, str(error), act.workload, act.plan)
        self._failures.pop(place, None)
        told = act.plan.summary + (_conflicts(act.workload) if executor.one_patch else "")
        return self._decision(act.alert, policy, Outcome.DONE, told, act.workload, act.plan)

    def _decision(
        self,
        alert: Alert,
        policy: Policy,
        outcome: Outcome,
        reason: str,
        workload: Workload | None = None,
        plan: Plan | None = None,
    ) -> Decision:
        executor = self._executors.choose(policy, workload) if plan and workload else None
        return Decision(
            at=self._now(),
            alert=alert,
            outcome=outcome,
            reason=reason,
            policy=policy,
            workload=workload,
            plan=plan,
            executor=executor.name if executor else "",
            dry_run=self.config.is_dry_run(policy),
        )


def _conflicts(workload: Workload) -> str:
    """Say what the next server-side apply meets, where the workload is applied so."""
    names = ", ".join(appliers(workload.document))
    if not names:
        return ""
    return (
        f"; the next server-side apply by {names} conflicts with this change: correct it there, use --force-conflicts"
    )
