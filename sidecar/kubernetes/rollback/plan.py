"""Plan: what would be done to a workload, worked out without a request; or why it cannot be."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sidecar.kubernetes.rollback.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An action in full.

    `from_` and `to` are how the history knows them (hashes, revisions, numbers of replicas), `summary` is for people.
    `deployed` is when what is rolled back was first rolled out, `rolled_out` when it last was, where that is known.
    `change` is what the executor needs.
    """

    from_: str
    to: str
    summary: str
    change: Any = None
    deployed: datetime | None = None
    rolled_out: datetime | None = None


@dataclass(frozen=True, slots=True)
class Impossible:
    """No plan, and why."""

    outcome: Outcome
    reason: str
