"""Outcome: everything that can come of an alert, and whether Alertmanager should send it again."""

from enum import StrEnum


class Outcome(StrEnum):
    """What came of an alert; the documentation has a line for each."""

    DONE = "done"
    DRY_RUN = "dry_run"

    RESOLVED = "resolved"
    NO_POLICY = "no_policy"
    BEGINS_LATER = "begins_later"
    NAMESPACE_NOT_ALLOWED = "namespace_not_allowed"
    QUIET_HOURS = "quiet_hours"
    NO_WORKLOAD = "no_workload"
    AMBIGUOUS_WORKLOAD = "ambiguous_workload"
    NOT_ENABLED = "not_enabled"
    UNREADABLE_HISTORY = "unreadable_history"
    DUPLICATE = "duplicate"
    CIRCUIT_OPEN = "circuit_open"
    COOLDOWN = "cooldown"
    DAILY_LIMIT = "daily_limit"
    MANAGED = "managed"
    PAUSED = "paused"
    NEWER_THAN_ALERT = "newer_than_alert"
    NO_RECENT_ROLLOUT = "no_recent_rollout"
    NO_EARLIER_REVISION = "no_earlier_revision"
    TEMPLATE_EQUAL = "template_equal"
    UNDO_OF_UNDO = "undo_of_undo"
    NOTHING_TO_SCALE = "nothing_to_scale"
    UNSUPPORTED = "unsupported"

    IN_PROGRESS = "in_progress"
    NOT_OBSERVED = "not_observed"
    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    DEFERRED = "deferred"


RETRIED = frozenset(
    {
        Outcome.IN_PROGRESS,
        Outcome.NOT_OBSERVED,
        Outcome.CONFLICT,
        Outcome.UNAVAILABLE,
        Outcome.FAILED,
        Outcome.DEFERRED,
    }
)
"""Outcomes that are answered with 503, so that Alertmanager sends the alert again."""

TOLD = frozenset(
    {
        Outcome.DONE,
        Outcome.FAILED,
        Outcome.CIRCUIT_OPEN,
        Outcome.MANAGED,
        Outcome.PAUSED,
        Outcome.NEWER_THAN_ALERT,
        Outcome.NO_RECENT_ROLLOUT,
        Outcome.NO_EARLIER_REVISION,
        Outcome.TEMPLATE_EQUAL,
        Outcome.UNDO_OF_UNDO,
        Outcome.UNREADABLE_HISTORY,
        Outcome.UNSUPPORTED,
    }
)
"""Outcomes written as an Event on the workload: actions, and what a person should look at."""
