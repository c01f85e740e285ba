"""What controllers of progressive delivery ask before they send a candidate more traffic: Argo Rollouts and Flagger.

Every question is a query over the records of `canary_recording`. Where neither side has had enough events it has no
answer, which is never taken for a good one: Argo Rollouts then waits for a person, Flagger goes no further.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.alerting.rules import names
from sidecar.alerting.rules.settings import Settings

_ARGO = {"namespace": "{{args.namespace}}", "model": "{{args.model}}"}
_FLAGGER = {"namespace": "{{ namespace }}", "model": "{{ variables.model }}"}


@dataclass(frozen=True, slots=True)
class Question:
    """A query that gives one number or nothing, and the largest number at which a rollout continues."""

    name: str
    query: str
    most: float


def questions(settings: Settings, place: Mapping[str, str]) -> Sequence[Question]:
    """Return what to ask of the namespace and model that `place` names."""
    canary, where = settings.canary, ", ".join(f'{key}="{value}"' for key, value in place.items())
    psi, least = names.candidate_psi(canary.window), names.candidate_psi_threshold(canary.window)
    excess = f"{names.candidate_excess_errors(canary.window)}{{{where}}}"
    chance = f"{names.candidate_excess_errors_threshold(canary.window)}{{{where}}}"

    def drifting(role: str) -> str:
        which = f'{{{where}, role="{role}"}}'
        return f"sum(\n    ({psi}{which} >= bool {canary.psi:g})\n  * ({psi}{which} > bool {least}{which})\n)"

    return (
        Question("candidate-data-drift", drifting("input"), 0),
        Question("candidate-prediction-drift", drifting("output"), 0),
        Question(
            "candidate-errors",
            f"sum(\n    ({excess} > bool {canary.error_ratio:g})\n  * ({excess} > bool {chance})\n)",
            0,
        ),
        Question(
            "candidate-latency",
            f"max({names.candidate_latency_ratio(canary.window)}{{{where}}})",
            canary.latency_ratio,
        ),
    )


def analysis_template(settings: Settings) -> dict[str, Any]:
    """Return the AnalysisTemplate of Argo Rollouts."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "model-sidecar-candidate"},
        "spec": {
            "args": [{"name": "namespace"}, {"name": "model"}],
            "metrics": [
                {
                    "name": question.name,
                    "initialDelay": settings.drift.windows[0],
                    "interval": settings.drift.interval,
                    "count": 10,
                    "failureLimit": 2,
                    "inconclusiveLimit": 3,
                    "successCondition": f"len(result) > 0 && result[0] <= {question.most:g}",
                    "failureCondition": f"len(result) > 0 && result[0] > {question.most:g}",
                    "provider": {"prometheus": {"address": settings.canary.prometheus, "query": question.query}},
                }
                for question in questions(settings, _ARGO)
            ],
        },
    }


def metric_templates(settings: Settings) -> list[dict[str, Any]]:
    """Return the MetricTemplates of Flagger."""
    return [
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "MetricTemplate",
            "metadata": {"name": question.name},
            "spec": {
                "provider": {"type": "prometheus", "address": settings.canary.prometheus},
                "query": question.query,
            },
        }
        for question in questions(settings, _FLAGGER)
    ]


def canary(settings: Settings) -> dict[str, Any]:
    """Return a Canary of Flagger whose analysis asks everything."""
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "fraud"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fraud"},
            "service": {"port": 8080},
            "analysis": {
                "interval": settings.drift.windows[0],
                "threshold": 5,
                "stepWeight": 5,
                "maxWeight": 50,
                "metrics": [
                    {
                        "name": question.name,
                        "templateRef": {"name": question.name},
                        "templateVariables": {"model": "fraud"},
                        "thresholdRange": {"max": question.most},
                        "interval": settings.drift.interval,
                    }
                    for question in questions(settings, _FLAGGER)
                ],
            },
        },
    }
