"""Deployment: put back the pod template of the newest earlier revision that is another model."""

from sidecar.kubernetes.rollback.cluster.protocol import DEPLOYMENT, Cluster
from sidecar.kubernetes.rollback.cluster.revisions import (
    DEPLOYMENT_MARKS,
    Revision,
    bare,
    identity,
    revisions,
    rolled_out,
)
from sidecar.kubernetes.rollback.cluster.workload import Workload, metadata
from sidecar.kubernetes.rollback.decide import Act
from sidecar.kubernetes.rollback.executors.patch import json_patch
from sidecar.kubernetes.rollback.history import History, Record
from sidecar.kubernetes.rollback.outcome import Outcome
from sidecar.kubernetes.rollback.plan import Impossible, Plan
from sidecar.kubernetes.rollback.policy import Policy


class DeploymentUndo:
    """Undo a Deployment, as `kubectl rollout undo` does, but to another model rather than to the last revision."""

    name = "deployment"
    one_patch = True

    def plan(self, policy: Policy, workload: Workload, history: History, claimed: Record | None) -> Plan | Impossible:
        """Choose the revision to go back to."""
        deployment = workload.document
        spec = deployment["spec"]
        if spec.get("paused"):
            return Impossible(Outcome.PAUSED, "the Deployment is paused: a rollback would wait until it is resumed")
        status = deployment.get("status") or {}
        past = revisions(workload.replica_sets, DEPLOYMENT_MARKS)
        template = bare(spec["template"])
        current = next((revision for revision in reversed(past) if revision.template == template), None)
        if current is None or status.get("observedGeneration", 0) < metadata(deployment).get("generation", 0):
            return Impossible(Outcome.NOT_OBSERVED, "the Deployment changed a moment ago and was not yet rolled out")
        target = earlier(current, past, history)
        if isinstance(target, Impossible):
            return target
        return Plan(
            from_=current.hash,
            to=target.hash,
            summary=undo_summary(workload, current, target),
            change=target.template,
            deployed=current.created,
            rolled_out=rolled_out(deployment, current),
        )

    async def carry_out(self, cluster: Cluster, policy: Policy, act: Act) -> None:
        """Replace the template and write the history in one patch."""
        operations = json_patch(
            act.workload.document,
            act.history.noting(act.record),
            {"op": "replace", "path": "/spec/template", "value": act.plan.change},
            cause=f"model-sidecar: {act.plan.summary} ({act.record.alert})",
        )
        await cluster.json_patch(DEPLOYMENT, act.workload.namespace, act.workload.name, operations)


def earlier(current: Revision, past: list[Revision], history: History) -> Revision | Impossible:
    """Return the newest revision before the current one that is another model and was not rolled back from."""
    before = [revision for revision in past if revision.number < current.number]
    if not before:
        return Impossible(Outcome.NO_EARLIER_REVISION, f"revision {current.number} is the first that is kept")
    later = [revision for revision in before if _after(revision, current)]
    if later:
        by = "this receiver" if later[-1].hash in history.rolled_back_from else "somebody"
        reason = f"{by} has gone back to {current.version} from {later[-1].version}; further back is for a person"
        return Impossible(Outcome.UNDO_OF_UNDO, reason)
    others = [revision for revision in before if identity(revision.template) != identity(current.template)]
    if not others:
        reason = f"all {len(before)} earlier revisions have the model and images of now, {current.version}"
        return Impossible(Outcome.TEMPLATE_EQUAL, reason)
    good = [revision for revision in others if revision.hash not in history.rolled_back_from]
    if not good:
        names = ", ".join(revision.version for revision in others)
        return Impossible(Outcome.UNDO_OF_UNDO, f"what there is to go back to was itself rolled back from: {names}")
    return good[-1]


def _after(revision: Revision, current: Revision) -> bool:
    """Return whether a revision with a lower number was made later: the current one is then a rollback."""
    return revision.created is not None and current.created is not None and revision.created > current.created


def undo_summary(workload: Workload, current: Revision, target: Revision) -> str:
    """Say what an undo does."""
    before, after = f"{current.version}, revision {current.number}", f"{target.version}, revision {target.number}"
    return f"roll back {workload} from {before}, to {after}"
