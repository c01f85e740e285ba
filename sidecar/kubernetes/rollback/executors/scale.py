"""Scale: set a smaller number of replicas, never below the floor.

The number is changed on the workload itself rather than on its scale subresource: the same field, but one patch with
the history, so that there is no moment in which the one is written and not the other.
"""

from sidecar.kubernetes.rollback.cluster.protocol import WORKLOADS, Cluster
from sidecar.kubernetes.rollback.cluster.workload import Workload
from sidecar.kubernetes.rollback.decide import Act
from sidecar.kubernetes.rollback.executors.patch import merge_patch
from sidecar.kubernetes.rollback.history import History, Record
from sidecar.kubernetes.rollback.outcome import Outcome
from sidecar.kubernetes.rollback.plan import Impossible, Plan
from sidecar.kubernetes.rollback.policy import Policy


class ReplicasDown:
    """Lower `spec.replicas` of a workload that nothing scales by itself."""

    name = "replicas"
    one_patch = True

    def plan(self, policy: Policy, workload: Workload, history: History, claimed: Record | None) -> Plan | Impossible:
        """Tell the number of replicas to have."""
        current = workload.document["spec"].get("replicas", 1)
        wanted = policy.scale.replicas(current)
        if wanted >= current:
            reason = f"it has {current} replicas, and the policy would leave {wanted}"
            return Impossible(Outcome.NOTHING_TO_SCALE, reason)
        summary = f"scale {workload} from {current} to {wanted} replicas"
        return Plan(from_=str(current), to=str(wanted), summary=summary, change=wanted)

    async def carry_out(self, cluster: Cluster, policy: Policy, act: Act) -> None:
        """Set the number and write the history in one patch."""
        workload = act.workload
        document = merge_patch(workload.document, act.history.noting(act.record), spec={"replicas": act.plan.change})
        await cluster.merge_patch(WORKLOADS[workload.kind], workload.namespace, workload.name, document)
