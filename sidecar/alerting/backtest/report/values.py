"""Values: tuned settings as YAML, for `model-sidecar rules --config` and for the Helm chart."""

from typing import Any

import msgspec
import yaml

from sidecar.alerting.backtest.report.text import changes, moment
from sidecar.alerting.backtest.study import Study, exceed
from sidecar.alerting.backtest.tune import Goal, drift_scores, longer_waits
from sidecar.alerting.rules.policy import PolicyChange
from sidecar.alerting.rules.rule import comment_lines
from sidecar.alerting.rules.settings import Settings


def rules(study: Study) -> str:
    """Return the settings of the chosen way: those of the site with what was tuned."""
    assert study.chosen is not None
    settings = study.chosen.settings
    lines = [
        *_header(study, f"For `model-sidecar rules --config`. Chosen: {study.chosen.name}."),
        f"Changes: {changes(study.plan.settings, study.chosen)}.",
        f"Most false alarms a week of one alert: {study.chosen.worst():.2f}; {_found(study)}",
    ]
    return _yaml(lines, differing(settings, Settings()))


def helm(study: Study) -> str:
    """Return values of the Helm chart, which can change durations: at the levels and the window that there are."""
    assert study.plan.most_per_week is not None
    goal = Goal(study.plan.most_per_week, study.known)
    found = exceed(study, study.plan.settings)
    longer = longer_waits(study.plan.settings, found, goal)
    lines = _header(study, "For the Helm chart, which can change how long alerts wait.")
    if longer is None:
        lines.append("No duration keeps to that number: take the levels or the window that `--values` writes.")
        return _yaml(lines, {"prometheusRule": {"alerts": {}}})
    worst = max((s.false_per_week for s in drift_scores(longer, found, study.known).values()), default=0.0)
    lines.append(f"Most false alarms a week of one alert: {worst:.2f}.")
    return _yaml(lines, {"prometheusRule": {"alerts": differing(longer, Settings()).get("alerts", {})}})


def differing(settings: Settings, default: Settings) -> dict[str, Any]:
    """Return what differs between settings, as plain objects with the keys of the file."""
    found = _differing(msgspec.to_builtins(settings), msgspec.to_builtins(default))
    unchanged = msgspec.to_builtins(PolicyChange())
    changes = {name: _differing(change, unchanged) for name, change in found.pop("alerts", {}).items()}
    return found | ({"alerts": changes} if changes else {})


def _differing(value: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for key, item in value.items():
        was = default.get(key)
        if item != was:
            found[key] = _differing(item, was) if isinstance(item, dict) and isinstance(was, dict) else item
    return found


def _header(study: Study, what: str) -> list[str]:
    return [
        what,
        f"From {study.rows} rows of {moment(study.first)} to {moment(study.last)} UTC, to keep each drift alert to "
        f"{study.plan.most_per_week:g} false alarms a week.",
    ]


def _found(study: Study) -> str:
    assert study.chosen is not None
    number = len(study.plan.incidents)
    return f"{study.chosen.found()} of {number} incidents found." if number else "no incidents were named."


def _yaml(comments: list[str], content: dict[str, Any]) -> str:
    header = "\n".join(comment_lines("\n".join(comments)))
    return header + "\n" + yaml.safe_dump(content, sort_keys=False)
