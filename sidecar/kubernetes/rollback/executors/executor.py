"""Executor: one way to carry out an action."""

from typing import Protocol

from sidecar.rollback.cluster import Cluster
from sidecar.rollback.decide import Act
from sidecar.rollback.history import History, Record
from sidecar.rollback.plan import Impossible, Plan
from sidecar.rollback.policy import Policy
from sidecar.rollback.workload import Workload


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
