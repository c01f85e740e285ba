"""Alerts on drift of inputs and of predictions: the level of PSI and whether it means anything."""

from sidecar.alerting.rules import names
from sidecar.alerting.rules.alerts.common import feature_alert
from sidecar.alerting.rules.rule import Alert, Group
from sidecar.alerting.rules.settings import Settings

_ADVICE = {
    "Moderate": "Look at the bins that moved before it grows; nothing has to be done tonight.",
    "Significant": "Find out which bins moved and whether a caller, a data source or the world changed.",
    "Critical": "Check first whether the data is broken upstream (a constant, a unit, nulls); else consider "
    "the "
    "previous model or a new reference.",
    "Rollback": "A rollback is asked for. Check that it was carried out and that drift falls after it.",
}


def groups(settings: Settings) -> list[Group]:
    """Return one group each for inputs and predictions."""
    return [
        Group(
            name="model-data-drift",
            interval=settings.drift.interval,
            comment="Inputs of the model.",
            rules=_alerts("DataDrift", "input", "Input", settings),
        ),
        Group(
            name="model-prediction-drift",
            interval=settings.drift.interval,
            comment="Outputs of the model.",
            rules=_alerts("PredictionDrift", "output", "Output", settings),
        ),
    ]


def _alerts(kind: str, role: str, title: str, settings: Settings) -> list[Alert]:
    window, limits = settings.drift.alert_window, settings.drift.thresholds
    bands = {
        "Moderate": (f">= {limits.moderate:g} < {limits.significant:g}", f"at least {limits.moderate:g}"),
        "Significant": (
            f">= {limits.significant:g} <= {limits.critical:g}",
            f"at least {limits.significant:g}",
        ),
        "Critical": (f"> {limits.critical:g}", f"above {limits.critical:g}"),
        "Rollback": (f"> {limits.rollback:g}", f"above {limits.rollback:g}"),
    }
    return [
        rule
        for level, (band, words) in bands.items()
        for rule in feature_alert(
            f"{level}{kind}",
            settings,
            expr=(
                f'({names.psi(window)}{{role="{role}"}} {band})\n> on ({names.KEY})\n  {names.psi_threshold(window)}'
            ),
            summary=f"{title} {{{{ $labels.feature }}}} of model {{{{ $labels.model }}}} drifts: "
            f'PSI {{{{ $value | printf "%.3f" }}}}',
            description=f"{title} {{{{ $labels.feature }}}} of model {{{{ $labels.model }}}} in namespace "
            f"{{{{ $labels.namespace }}}} differs from reference {{{{ $labels.reference }}}} over the last "
            f"{window}, "
            f'all replicas together: PSI is {{{{ $value | printf "%.3f" }}}}, {level.lower()} is {words}, '
            f"and it is "
            f"more than chance explains. {_ADVICE[level]}",
        )
    ]
