"""InferenceService of KServe: give the newest revision no traffic, so that the one before it serves.

With `canaryTrafficPercent: 0`, KServe sends all traffic to the last revision that had all of it before: the stable one
while a canary is under way, the previous one once the newest had been rolled out to everybody.
"""

from sidecar.kubernetes.rollback.cluster.protocol import INFERENCE_SERVICE, Cluster
from sidecar.kubernetes.rollback.cluster.workload import Workload, annotations
from sidecar.kubernetes.rollback.decide import Act
from sidecar.kubernetes.rollback.executors.patch import merge_patch
from sidecar.kubernetes.rollback.history import History, Record
from sidecar.kubernetes.rollback.outcome import Outcome
from sidecar.kubernetes.rollback.plan import Impossible, Plan
from sidecar.kubernetes.rollback.policy import Policy

_MODE = "serving.kserve.io/deploymentMode"


class InferenceServiceUndo:
    """Take the traffic from the newest revision of a predictor."""

    name = "inference_service"
    one_patch = True

    def plan(self, policy: Policy, workload: Workload, history: History, claimed: Record | None) -> Plan | Impossible:
        """Tell which revision gets the traffic."""
        service = workload.document
        mode = annotations(service).get(_MODE) or (service.get("status") or {}).get("deploymentMode") or "Serverless"
        if mode not in ("Serverless", "Knative"):
            return Impossible(
                Outcome.UNSUPPORTED, f"in the deployment mode {mode} there are no revisions to share traffic"
            )
        predictor = ((service.get("status") or {}).get("components") or {}).get("predictor") or {}
        latest, stable = predictor.get("latestReadyRevision"), predictor.get("latestRolledoutRevision")
        if not latest:
            return Impossible(Outcome.NOT_OBSERVED, "no revision of its predictor is ready yet")
        if service["spec"]["predictor"].get("canaryTrafficPercent") == 0:
            return Impossible(Outcome.TEMPLATE_EQUAL, f"{latest} already gets no traffic")
        target = stable if stable and stable != latest else predictor.get("previousRolledoutRevision")
        if not target or target == latest:
            return Impossible(Outcome.NO_EARLIER_REVISION, f"no revision before {latest} was rolled out")
        if target in history.rolled_back_from:
            return Impossible(
                Outcome.UNDO_OF_UNDO, f"what there is to go back to was itself rolled back from: {target}"
            )
        return Plan(from_=latest, to=target, summary=f"send all traffic of {workload} to {target}, none to {latest}")

    async def carry_out(self, cluster: Cluster, policy: Policy, act: Act) -> None:
        """Set the share and write the history in one patch."""
        history = act.history.noting(act.record)
        document = merge_patch(act.workload.document, history, spec={"predictor": {"canaryTrafficPercent": 0}})
        await cluster.merge_patch(INFERENCE_SERVICE, act.workload.namespace, act.workload.name, document)
