"""Executor: one way to carry out an action."""

from typing import Protocol

from sidecar.kubernetes.rollback.cluster.protocol import Cluster
from sidecar.kubernetes.rollback.cluster.workload import Workload
from sidecar.kubernetes.rollback.decide import Act
from sidecar.kubernetes.rollback.history import History, Record
from sidecar.kubernetes.rollback.plan import Impossible, Plan
from sidecar.kubernetes.rollback.policy import Policy


class Failed(Exception):
    """An action could not be carried out; the message says why. Nothing was done, or it is safe to do again."""


class Executor(Protocol):
    """Plan an action without a request, then carry it out."""

    name: str
    one_patch: bool
    """Whether the patch that acts also writes the history. If not, `claim` writes it before and after."""

    def plan(self, policy: Policy, workload: Workload, history: History, claimed: Record | None) -> Plan | Impossible:
        """Plan the action; `claimed` is the record of one that was begun and left."""
        ...

    async def carry_out(self, cluster: Cluster, policy: Policy, act: Act) -> None:
        """Carry out the plan; raises ClusterError or Failed. Doing it twice is as good as doing it once."""
        ...
