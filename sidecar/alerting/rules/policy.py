"""How long each alert waits, how grave it is and what it sets off: one line an alert."""

from typing import Literal

import msgspec

from sidecar.alerting.rules.duration import Duration

Severity = Literal["critical", "warning", "info"]
Action = Literal["alert", "rollback", "scale_down"]


class PolicyChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes to an alert's policy; fields that are not given keep their value."""

    for_: Duration | None = msgspec.field(name="for", default=None)
    severity: Severity | None = None
    action: Action | None = None
    enabled: bool = True


class Policy(msgspec.Struct, frozen=True):
    """Say how long an alert waits, how grave it is and what it sets off.

    A duration or severity of None is that of the row: the burn-rate alerts have one row a pair of windows.
    """

    for_: Duration | None
    severity: Severity | None
    action: Action
    enabled: bool = True

    def changed(self, change: PolicyChange) -> "Policy":
        """Return the policy with what a site has changed."""
        return Policy(
            for_=change.for_ or self.for_,
            severity=change.severity or self.severity,
            action=change.action or self.action,
            enabled=change.enabled,
        )


ALERTS: dict[str, Policy] = {
    "ModerateDataDrift": Policy("10m", "info", "alert"),
    "SignificantDataDrift": Policy("5m", "warning", "alert"),
    "CriticalDataDrift": Policy("2m", "critical", "alert"),
    "RollbackDataDrift": Policy("2m", "critical", "rollback"),
    "ModeratePredictionDrift": Policy("10m", "info", "alert"),
    "SignificantPredictionDrift": Policy("5m", "warning", "alert"),
    "CriticalPredictionDrift": Policy("2m", "critical", "alert"),
    "RollbackPredictionDrift": Policy("2m", "critical", "rollback"),
    "HighP95Latency": Policy("5m", "warning", "alert"),
    "CriticalP99Latency": Policy("2m", "critical", "scale_down"),
    "HighErrorRate": Policy("2m", "critical", "rollback"),
    "LatencyBudgetBurn": Policy(None, None, "alert"),
    "ErrorBudgetBurn": Policy(None, None, "alert"),
    "CandidateDataDrift": Policy("5m", "warning", "alert"),
    "CandidatePredictionDrift": Policy("5m", "warning", "alert"),
    "CandidateHighErrorRate": Policy("2m", "critical", "alert"),
    "ModelAccuracyLow": Policy("10m", "warning", "alert"),
    "ModelSidecarDown": Policy("5m", "critical", "alert"),
    "ModelSidecarNoEvents": Policy("5m", "warning", "alert"),
    "ModelSidecarEventsDropped": Policy("5m", "warning", "alert"),
    "ModelSidecarEventsRejected": Policy("15m", "warning", "alert"),
    "ModelSidecarUnknownFeatures": Policy("15m", "info", "alert"),
    "ModelSidecarReferenceMissing": Policy("1h", "warning", "alert"),
    "ModelSidecarReferenceStale": Policy("1h", "info", "alert"),
    "ModelSidecarReferenceMismatch": Policy("30m", "warning", "alert"),
    "ModelSidecarDriftMissing": Policy("15m", "warning", "alert"),
    "ModelSidecarLabelsHidden": Policy("10m", "warning", "alert"),
    "ModelSidecarReloadFailed": Policy("5m", "warning", "alert"),
    "ModelSidecarStorageUnhealthy": Policy("10m", "warning", "alert"),
}
"""Every alert, in the order of the rule files."""
