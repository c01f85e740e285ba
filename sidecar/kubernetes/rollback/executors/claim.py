"""Claim: for actions that take more than one request: write that it is begun, do it, write that it is done.

The claim is a patch that only one receiver gets through, and it names until when it holds. Killed before the action,
the next delivery after that time takes over and does it. Killed after it, the next does it again, which is as good as
once. A claim counts for the cooldown as if it were done.
"""

from datetime import timedelta

import msgspec

from sidecar.kubernetes.rollback import history as histories
from sidecar.kubernetes.rollback.cluster.protocol import (
    ATTEMPTS,
    WORKLOADS,
    Cluster,
    Conflict,
    NotFound,
    Object,
    Refused,
)
from sidecar.kubernetes.rollback.cluster.workload import Workload, annotations
from sidecar.kubernetes.rollback.decide import Act
from sidecar.kubernetes.rollback.executors.executor import Executor, Failed
from sidecar.kubernetes.rollback.executors.patch import merge_patch
from sidecar.kubernetes.rollback.history import History, Record, UnreadableHistory
from sidecar.kubernetes.rollback.policy import Policy


async def carry_out(
    cluster: Cluster, executor: Executor, policy: Policy, act: Act, *, claim_timeout_seconds: float
) -> None:
    """Carry out an action once; raises ClusterError, a Conflict where another receiver was faster, or Failed."""
    if executor.one_patch:
        await executor.carry_out(cluster, policy, act)
        return
    until = act.record.at + timedelta(seconds=claim_timeout_seconds)
    claimed = msgspec.structs.replace(act.record, state="claimed", until=until)
    document = await _write(cluster, act.workload, act.workload.document, act.history.noting(claimed))
    try:
        await executor.carry_out(cluster, policy, act)
    except (Failed, Refused, NotFound) as error:
        await _note(cluster, act.workload, document, msgspec.structs.replace(act.record, state="failed"))
        raise Failed(str(error)) from error
    await _note(cluster, act.workload, document, act.record)


async def _note(cluster: Cluster, workload: Workload, document: Object, record: Record) -> None:
    """Write the outcome, even if the workload has changed since it was claimed."""
    for _ in range(ATTEMPTS):
        try:
            history = histories.read([annotations(document)])
            await _write(cluster, workload, document, history.noting(record))
            return
        except Conflict:
            document = await cluster.get(WORKLOADS[workload.kind], workload.namespace, workload.name)
        except UnreadableHistory as error:
            raise Failed(str(error)) from error
    raise Failed(f"{workload} changed {ATTEMPTS} times while its history was to be written")


async def _write(cluster: Cluster, workload: Workload, document: Object, history: History) -> Object:
    kind = WORKLOADS[workload.kind]
    return await cluster.merge_patch(kind, workload.namespace, workload.name, merge_patch(document, history))
