"""Autoscaler: lower the bounds of the HorizontalPodAutoscaler, which would undo any other number of replicas.

The history is on the workload and the bounds are on another object, so this takes a claim before and a note after it.
The bounds are numbers that the claim remembers: setting them twice is as good as once.
"""

from sidecar.kubernetes.rollback.cluster.protocol import ATTEMPTS, AUTOSCALER, Cluster, Conflict
from sidecar.kubernetes.rollback.cluster.workload import Workload, controller, manager, metadata
from sidecar.kubernetes.rollback.decide import Act
from sidecar.kubernetes.rollback.executors.executor import Failed
from sidecar.kubernetes.rollback.executors.patch import merge_patch
from sidecar.kubernetes.rollback.history import History, Record
from sidecar.kubernetes.rollback.outcome import Outcome
from sidecar.kubernetes.rollback.plan import Impossible, Plan
from sidecar.kubernetes.rollback.policy import Policy


class BoundsDown:
    """Lower the bounds of the autoscaler of a workload."""

    name = "autoscaler"
    one_patch = False

    def plan(self, policy: Policy, workload: Workload, history: History, claimed: Record | None) -> Plan | Impossible:
        """Tell the most replicas to have from now on, counted from those that run now."""
        autoscaler = workload.autoscaler or {}
        name = metadata(autoscaler)["name"]
        owner = controller(autoscaler)
        if owner is not None:
            told = f"{owner.get('kind')} {owner.get('name')} would put back the bounds of the autoscaler {name}"
            return Impossible(Outcome.MANAGED, told)
        who = manager(autoscaler)
        if who is not None and policy.managed == "notify":
            told = f"{who} would put back the bounds of the autoscaler {name}; scale down there"
            return Impossible(Outcome.MANAGED, told)
        most = autoscaler["spec"]["maxReplicas"]
        current = min(workload.document["spec"].get("replicas", 1), most)
        wanted = max(1, policy.scale.replicas(current))
        if claimed is not None:
            wanted = int(claimed.to)
        elif wanted >= most:
            reason = f"the autoscaler {name} allows {most} replicas, and the policy would leave {wanted}"
            return Impossible(Outcome.NOTHING_TO_SCALE, reason)
        summary = f"let {workload} have at most {wanted} replicas instead of {most}, by the autoscaler {name}"
        return Plan(from_=str(most), to=str(wanted), summary=summary, change=wanted)

    async def carry_out(self, cluster: Cluster, policy: Policy, act: Act) -> None:
        """Set the bounds, unless they are that low already."""
        namespace, name = act.workload.namespace, metadata(act.workload.autoscaler or {})["name"]
        wanted = act.plan.change
        for _ in range(ATTEMPTS):
            autoscaler = await cluster.get(AUTOSCALER, namespace, name)
            spec = autoscaler["spec"]
            if spec["maxReplicas"] <= wanted:
                return
            bounds = {"maxReplicas": wanted, "minReplicas": min(spec.get("minReplicas", 1), wanted)}
            try:
                await cluster.merge_patch(AUTOSCALER, namespace, name, merge_patch(autoscaler, None, spec=bounds))
            except Conflict:
                continue
            return
        raise Failed(f"the autoscaler {name} changed {ATTEMPTS} times while its bounds were to be set")
