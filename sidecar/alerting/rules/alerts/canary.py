"""Alerts on a candidate that differs from the stable version beside it.

Without a candidate they have nothing to read.
"""

from sidecar.alerting.rules import names
from sidecar.alerting.rules.alerts.common import alert, feature_alert
from sidecar.alerting.rules.rule import Alert, Group
from sidecar.alerting.rules.settings import Settings


def groups(settings: Settings) -> list[Group]:
    """Return the one group."""
    return [
        Group(
            name="model-candidate",
            interval=settings.drift.interval,
            comment="A candidate and the stable version get the same traffic, so what differs is the candidate.",
            rules=[
                *_drift("CandidateDataDrift", "input", settings),
                *_drift("CandidatePredictionDrift", "output", settings),
                *_errors(settings),
            ],
        )
    ]


def _drift(name: str, role: str, settings: Settings) -> list[Alert]:
    window = settings.canary.window
    advice = {
        "input": "If traffic is split by chance, both should see the same: look at what prepares this input in the "
        "candidate, and at who is sent to it.",
        "output": "It answers differently on the same traffic. Decide whether that is what the new version is for.",
    }[role]
    return feature_alert(
        name,
        settings,
        expr=(
            f'({names.candidate_psi(window)}{{role="{role}"}} >= {settings.canary.psi:g})\n'
            f"> on ({names.KEY})\n  {names.candidate_psi_threshold(window)}"
        ),
        summary=f"Candidate of model {{{{ $labels.model }}}} differs from stable in {role} {{{{ $labels.feature }}}}: "
        f'PSI {{{{ $value | printf "%.3f" }}}}',
        description=f"{role.capitalize()} {{{{ $labels.feature }}}} of the candidate of model {{{{ $labels.model }}}} "
        f"in namespace {{{{ $labels.namespace }}}} differs from that of the stable version over the last {window}: "
        f'PSI is {{{{ $value | printf "%.3f" }}}}, at least {settings.canary.psi:g}, and more than chance explains for '
        f"the events that both had. {advice}",
    )


def _errors(settings: Settings) -> list[Alert]:
    window = settings.canary.window
    excess = names.candidate_excess_errors(window)
    return alert(
        "CandidateHighErrorRate",
        settings,
        expr=(f"({excess} > {settings.canary.error_ratio:g})\n> {names.candidate_excess_errors_threshold(window)}"),
        summary="{{ $value | humanizePercentage }} more predictions of the candidate of model {{ $labels.model }} fail",
        description="The share of failed predictions of the candidate of model {{ $labels.model }} in namespace "
        "{{ $labels.namespace }} is {{ $value | humanizePercentage }} above that of the stable version over the last "
        f"{window}; {settings.canary.error_ratio * 100:g} % is allowed, and chance does not explain it. "
        "Stop the rollout and read the candidate's log.",
        dashboard=settings.links.service_dashboard,
    )
