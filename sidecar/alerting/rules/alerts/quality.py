"""The alert on predictions that turn out to be wrong."""

import math

from sidecar.alerting.rules import names
from sidecar.alerting.rules.alerts.common import alert
from sidecar.alerting.rules.rule import Group
from sidecar.alerting.rules.settings import Settings


def groups(settings: Settings) -> list[Group]:
    """Return the group."""
    quality = settings.quality
    limit, window = quality.accuracy, quality.window
    two_errors = 2 * math.sqrt(limit * (1 - limit))
    rules = alert(
        "ModelAccuracyLow",
        settings,
        expr=(
            f"{names.accuracy(window)} < {limit:g} - {two_errors:.4g} / sqrt({names.labels_compared(window)})\n"
            "and\n"
            f"  {names.labels_compared(window)} >= {quality.min_labels}"
        ),
        summary="Model {{ $labels.model }} is right in {{ $value | humanizePercentage }} of cases",
        description=f"Of the labels that came in the last {window} for model {{{{ $labels.model }}}} in namespace "
        "{{ $labels.namespace }}, {{ $value | humanizePercentage }} are what it had predicted; the limit is "
        f"{limit * 100:g} %. If alerts on drift fire too, the inputs moved; if none does, what is to be predicted has "
        "changed, or the labels have.",
        dashboard=settings.links.service_dashboard,
    )
    return [
        Group(
            name="model-accuracy",
            interval=quality.interval,
            comment="Too often wrong, by labels. The limit is undercut by two standard errors of so many labels, so "
            "that chance alone seldom does it. Without labels nothing fires.",
            rules=rules,
        )
    ]
