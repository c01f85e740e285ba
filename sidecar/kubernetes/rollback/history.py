"""History: what was done to a workload, kept in annotations on it, so that it survives restarts and is seen by all.

`model-sidecar.io/rollback-history` is a list of records, the newest last; `model-sidecar.io/rolled-back-from` names the
pod templates (revisions, for an InferenceService) that were rolled back from, the newest last. A controller copies the
annotations of a Deployment to its ReplicaSets, and `kubectl rollout undo` copies those of an old ReplicaSet back, which
would turn back the history too: so the histories of all of them are read as one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from sidecar.kubernetes.rollback.policy import HISTORY_RECORDS, Action

HISTORY = "model-sidecar.io/rollback-history"
ROLLED_BACK_FROM = "model-sidecar.io/rolled-back-from"
TEMPLATES_REMEMBERED = 50

State = Literal["claimed", "done", "failed"]


class UnreadableHistory(Exception):
    """The annotations cannot be read; the message says why."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"from_": "from"}):
    """One action. `from_` and `to` are template hashes, revisions or numbers of replicas; `until` ends a claim."""

    key: str
    action: Action
    policy: str
    alert: str
    at: datetime
    state: State
    from_: str
    to: str
    by: str
    until: datetime | None = None
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class History:
    """Records, the newest last, and the templates that were rolled back from."""

    records: tuple[Record, ...] = ()
    rolled_back_from: tuple[str, ...] = ()

    def find(self, key: str) -> Record | None:
        """Return the record of a key."""
        return next((record for record in self.records if record.key == key), None)

    def acted(self) -> tuple[Record, ...]:
        """Return the records of what was done, or may have been: claims are of this sort."""
        return tuple(record for record in self.records if record.state != "failed")

    def last_rollback(self) -> Record | None:
        """Return the last rollback that was done."""
        done = [record for record in self.records if record.action == "rollback" and record.state == "done"]
        return done[-1] if done else None

    def failures(self) -> tuple[int, datetime | None]:
        """Return how many attempts have failed since something was last done, and when the last of them did."""
        failed: list[Record] = []
        for record in reversed(self.records):
            if record.state == "done":
                break
            if record.state == "failed":
                failed.append(record)
        return sum(record.attempts for record in failed), max((record.at for record in failed), default=None)

    def noting(self, record: Record) -> "History":
        """Return the history with a record added, or in the place of the one with its key."""
        others = [other for other in self.records if other.key != record.key]
        templates = list(self.rolled_back_from)
        if record.action == "rollback" and record.state == "done" and record.from_:
            templates = [t for t in templates if t != record.from_] + [record.from_]
        return History((*others, record)[-HISTORY_RECORDS:], tuple(templates[-TEMPLATES_REMEMBERED:]))

    def annotations(self) -> dict[str, str]:
        """Return the annotations that hold it."""
        annotations = {HISTORY: msgspec.json.encode(self.records).decode()}
        if self.rolled_back_from:
            annotations[ROLLED_BACK_FROM] = ",".join(self.rolled_back_from)
        return annotations


def read(annotations: Iterable[Mapping[str, str]]) -> History:
    """Read the histories in the annotations of a workload and of its ReplicaSets; raises UnreadableHistory.

    A record that is in several counts as the first of them has it.
    """
    records: dict[str, Record] = {}
    templates: list[str] = []
    for mapping in annotations:
        for record in _records(mapping.get(HISTORY)):
            records.setdefault(record.key, record)
        named = [name for name in mapping.get(ROLLED_BACK_FROM, "").split(",") if name]
        templates = [name for name in named if name not in templates] + templates
    ordered = sorted(records.values(), key=lambda record: record.at)
    return History(tuple(ordered[-HISTORY_RECORDS:]), tuple(templates[-TEMPLATES_REMEMBERED:]))


def _records(text: str | None) -> Sequence[Record]:
    if text is None:
        return ()
    try:
        records = msgspec.json.decode(text, type=tuple[Record, ...])
    except msgspec.MsgspecError as error:
        raise UnreadableHistory(f"the annotation {HISTORY} cannot be read: {error}") from error
    if any(moment.tzinfo is None for record in records for moment in (record.at, record.until) if moment):
        raise UnreadableHistory(f"the annotation {HISTORY} cannot be read: a time in it has no zone")
    return records
