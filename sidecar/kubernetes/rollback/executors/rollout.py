"""Rollout of Argo Rollouts: abort the update that is under way, then put back the template of an earlier revision.

Aborting is a request of its own, to the status subresource, and sends the traffic back at once. It is made first: doing
it twice is the same as doing it once, and the patch after it, which acts and writes the history, is the one that only
one receiver gets through. Killed between the two, the next delivery finds an aborted Rollout and goes on.
"""

from sidecar.kubernetes.rollback.cluster.protocol import ROLLOUT, Cluster, Object
from sidecar.kubernetes.rollback.cluster.revisions import ROLLOUT_MARKS, Revision, revisions, rolled_out
from sidecar.kubernetes.rollback.cluster.workload import Workload, metadata
from sidecar.kubernetes.rollback.decide import Act
from sidecar.kubernetes.rollback.executors.deployment import earlier, undo_summary
from sidecar.kubernetes.rollback.executors.patch import json_patch, merge_patch
from sidecar.kubernetes.rollback.history import History, Record
from sidecar.kubernetes.rollback.outcome import Outcome
from sidecar.kubernetes.rollback.plan import Impossible, Plan
from sidecar.kubernetes.rollback.policy import Policy


class RolloutUndo:
    """Abort and undo a Rollout."""

    name = "rollout"
    one_patch = True

    def plan(self, policy: Policy, workload: Workload, history: History, claimed: Record | None) -> Plan | Impossible:
        """Choose the revision to go back to: while an update is under way, the one that is stable."""
        rollout = workload.document
        spec, status = rollout["spec"], rollout.get("status") or {}
        if "template" not in spec:
            return Impossible(Outcome.UNSUPPORTED, "its template is in the object that spec.workloadRef names")
        if spec.get("paused"):
            return Impossible(Outcome.PAUSED, "the Rollout is paused by its owner")
        past = revisions(workload.replica_sets, ROLLOUT_MARKS)
        current = _current(rollout, past)
        if current is None:
            return Impossible(Outcome.NOT_OBSERVED, "the Rollout changed a moment ago and was not yet rolled out")
        stable = next((revision for revision in past if revision.hash == status.get("stableRS")), None)
        updating = stable is not None and stable.hash != current.hash
        fits = stable is not None and updating and stable.hash not in history.rolled_back_from
        target = stable if stable is not None and fits else earlier(current, past, history)
        if isinstance(target, Impossible):
            return target
        abort = updating and not status.get("abort")
        summary = undo_summary(workload, current, target)
        return Plan(
            from_=current.hash,
            to=target.hash,
            summary=f"abort the update and {summary}" if abort else summary,
            change=(abort, target.template),
            deployed=current.created,
            rolled_out=rolled_out(rollout, current),
        )

    async def carry_out(self, cluster: Cluster, policy: Policy, act: Act) -> None:
        """Abort where there is something to, then replace the template and write the history in one patch."""
        rollout, namespace, name = act.workload.document, act.workload.namespace, act.workload.name
        abort, template = act.plan.change
        if abort:
            document = merge_patch(rollout, None, status={"abort": True})
            rollout = await cluster.merge_patch(ROLLOUT, namespace, name, document, status=True)
        operations = json_patch(
            rollout,
            act.history.noting(act.record),
            {"op": "replace", "path": "/spec/template", "value": template},
            cause=f"model-sidecar: {act.plan.summary} ({act.record.alert})",
        )
        await cluster.json_patch(ROLLOUT, namespace, name, operations)


def _current(rollout: Object, past: list[Revision]) -> Revision | None:
    """Return the revision that the controller rolls out, or None where it has not seen the last change.

    Templates cannot be compared: the API fills defaults into those of ReplicaSets, and not into that of a Rollout.
    """
    status = rollout.get("status") or {}
    if str(status.get("observedGeneration")) != str(metadata(rollout).get("generation")):
        return None
    return next((revision for revision in past if revision.hash == status.get("currentPodHash")), None)
