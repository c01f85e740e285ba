"""Table: which executor carries out which action on which kind of workload."""

from sidecar.kubernetes.rollback.cluster.protocol import KindName
from sidecar.kubernetes.rollback.cluster.workload import Workload, manager
from sidecar.kubernetes.rollback.executors.autoscaler import BoundsDown
from sidecar.kubernetes.rollback.executors.deployment import DeploymentUndo
from sidecar.kubernetes.rollback.executors.executor import Executor
from sidecar.kubernetes.rollback.executors.inference_service import InferenceServiceUndo
from sidecar.kubernetes.rollback.executors.rollout import RolloutUndo
from sidecar.kubernetes.rollback.executors.scale import ReplicasDown
from sidecar.kubernetes.rollback.executors.webhook import HandOn
from sidecar.kubernetes.rollback.history import History, Record
from sidecar.kubernetes.rollback.outcome import Outcome
from sidecar.kubernetes.rollback.plan import Impossible, Plan
from sidecar.kubernetes.rollback.policy import Action, Policy

_TABLE: dict[tuple[Action, KindName], Executor] = {
    ("rollback", "Deployment"): DeploymentUndo(),
    ("rollback", "Rollout"): RolloutUndo(),
    ("rollback", "InferenceService"): InferenceServiceUndo(),
    ("scale_down", "Deployment"): ReplicasDown(),
    ("scale_down", "Rollout"): ReplicasDown(),
}
_AUTOSCALER = BoundsDown()


class Executors:
    """Choose executors, and plan with them."""

    def __init__(self, webhook: HandOn) -> None:
        self._webhook = webhook

    def choose(self, policy: Policy, workload: Workload) -> Executor | None:
        """Return the executor for a workload, or None."""
        if policy.executor == "webhook" or (policy.managed == "webhook" and _manager(policy, workload)):
            return self._webhook
        if policy.action == "scale_down" and workload.autoscaler is not None:
            return _AUTOSCALER
        return _TABLE.get((policy.action, workload.kind))

    def plan(self, policy: Policy, workload: Workload, history: History, claimed: Record | None) -> Plan | Impossible:
        """Plan the action with the executor for the workload."""
        executor = self.choose(policy, workload)
        if executor is None:
            return Impossible(Outcome.UNSUPPORTED, f"{policy.action} of a {workload.kind} is not known")
        return executor.plan(policy, workload, history, claimed)


def _manager(policy: Policy, workload: Workload) -> str | None:
    """Name the controller that would revert the action: of the workload, or of the bounds of its autoscaler."""
    scaled = workload.autoscaler if policy.action == "scale_down" else None
    return manager(workload.document) or (manager(scaled) if scaled else None)
