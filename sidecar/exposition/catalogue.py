"""The catalogue: every metric the sidecar exports, and the values of its labels that are known beforehand.

Rules, dashboards and documentation are tested against this table. Names are never changed; new ones are added.
"""

from typing import Literal, get_args

from sidecar.exposition import label_metrics, model_metrics, sidecar_metrics
from sidecar.exposition.metric import Metric

CATALOGUE: tuple[Metric, ...] = (*model_metrics.FAMILIES, *label_metrics.FAMILIES, *sidecar_metrics.FAMILIES)
"""Every family in the order of exposition; the process adds the standard `process_*` families."""

BodyReason = Literal["unreadable", "too_large", "too_many_events", "too_many_labels"]
"""Why a whole body is refused."""
EventReason = Literal["unreadable", "invalid", "unknown_model"]
"""Why an event, or a label, of a body is refused."""
Misjoined = Literal["unknown_id", "duplicate", "invalid"]
"""Why a label that was read could not be joined to its prediction."""
LabelReason = EventReason | Literal["not_configured"] | Misjoined
DropReason = Literal["overload"]
"""Why a body is lost though nothing is wrong with it."""

REJECT_REASONS: tuple[BodyReason | EventReason, ...] = (
    *("unreadable", "invalid", "unknown_model"),
    *("too_large", "too_many_events"),
)
"""Values of `reason` on `model_sidecar_events_rejected_total`, all exported from the start."""

LABEL_REJECT_REASONS: tuple[BodyReason | LabelReason, ...] = (
    *("unreadable", "invalid", "unknown_model", "not_configured", "unknown_id", "duplicate"),
    *("too_large", "too_many_labels"),
)
"""Values of `reason` on `model_sidecar_labels_rejected_total`, all exported from the start."""

UNLABELLED_REASONS = ("expired", "evicted")
"""Values of `reason` on `model_label_predictions_unlabelled_total`."""

DROP_REASONS: tuple[DropReason, ...] = get_args(DropReason)
"""Values of `reason` on `model_sidecar_events_dropped_total`, all exported from the start."""

SET_ASIDE_REASONS = ("damaged", "foreign", "format", "incomplete", "unreadable")
"""Values of `reason` on `model_sidecar_storage_set_aside_total`, all exported from the start."""

STORED_PARTS = ("traffic", "comparison", "learning", "labels")
"""Values of `part` on `model_sidecar_storage_begun_anew_total`, all exported from the start."""
