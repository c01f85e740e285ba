"""Every alert fires, does not fire, resolves, and stays silent without data."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.alerting.rules import ALERTS

from .alert_cases import CASES, Case, Counter, Gauge, Signal
from .promtool import RULES, Check, check_rules, groups, unit_test

ALERT_FILES = sorted(RULES.glob("*.alerts.yml"))
Phases = list[tuple[bool, int]]

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def files_with(alert: str) -> list[Path]:
    return [
        file
        for file in ALERT_FILES
        if any(rule.get("alert") == alert for group in groups(file) for rule in group["rules"])
    ]


def series(signals: Mapping[str, Signal], phases: Phases) -> dict[str, str]:
    written = {}
    for name, signal in signals.items():
        labels = dict(signal.labels)
        metric = labels.pop("__name__", name)
        values = signal.values(phases)
        if set(values.split()) - {"_", "stale"}:
            text = ",".join(f'{key}="{value}"' for key, value in labels.items())
            written[f"{metric}{{{text}}}"] = values
    return written


def altered(signal: Signal, value: float | None) -> Signal:
    if isinstance(signal, Gauge):
        return replace(signal, bad=value)
    assert value is not None
    return replace(signal, bad=int(value))


def firing(case: Case, minute: int, *, expected: bool) -> Check:
    labels = {"__name__": "ALERTS", "alertname": case.alert, "alertstate": "firing", **case.alert_labels}
    text = ", ".join(f'{key}="{value}"' for key, value in labels.items() if key != "__name__")
    query = f'ALERTS{{alertname="{case.alert}", alertstate="firing"}}'
    return Check(f"{minute}m", query, {f"ALERTS{{{text}}}": 1} if expected else {})


def check(case: Case, directory: Path, signals: Mapping[str, Signal], phases: Phases, *checks: Check) -> None:
    check_rules(directory, files=files_with(case.alert), series=series(signals, phases), checks=checks)


@each_case
def test_fires_after_its_duration_and_not_before(case: Case, tmp_path: Path) -> None:
    healthy, enough = 60, case.wait + case.settle
    phases = [(False, healthy), (True, enough + 5)]
    checks = [firing(case, healthy + enough, expected=True)]
    if case.wait:
        checks.insert(0, firing(case, healthy + case.wait - 1, expected=False))
    if not any(isinstance(signal, Counter) for signal in case.signals.values()):
        checks.append(firing(case, healthy + case.wait, expected=True))
    check(case, tmp_path, case.signals, phases, *checks)


@each_case
def test_does_not_fire_while_all_is_well(case: Case, tmp_path: Path) -> None:
    minutes = case.wait + case.settle + 60
    check(case, tmp_path, case.signals, [(False, minutes + 1)], firing(case, minutes, expected=False))


@pytest.mark.parametrize(
    ("case", "values"),
    [pytest.param(case, values, id=f"{case.name}-{values}") for case in CASES for values in case.harmless],
)
def test_does_not_fire_just_outside_its_condition(case: Case, values: dict[str, float | None], tmp_path: Path) -> None:
    assert set(values) <= set(case.signals)
    signals = {
        name: altered(signal, values[name]) if name in values else signal for name, signal in case.signals.items()
    }
    # Long enough for a counter to leave the history in which it still rose.
    minutes = case.wait + case.settle + 90
    check(case, tmp_path, signals, [(True, minutes + 1)], firing(case, minutes, expected=False))


@each_case
def test_resolves_when_things_are_well_again(case: Case, tmp_path: Path) -> None:
    bad, healthy = case.wait + case.settle, 60
    phases = [(False, healthy), (True, bad + 1), (False, case.settle + 8)]
    check(
        case,
        tmp_path,
        case.signals,
        phases,
        firing(case, healthy + bad, expected=True),
        firing(case, healthy + bad + case.settle + 7, expected=False),
    )


def test_every_alert_stays_silent_without_data(tmp_path: Path) -> None:
    check_rules(
        tmp_path,
        files=sorted(RULES.glob("*.yml")),
        series={"unrelated": "1x240"},
        checks=[Check("240m", f'ALERTS{{alertname="{alert}"}}', {}) for alert in ALERTS],
    )


def test_every_alert_has_a_case() -> None:
    shipped = {rule["alert"] for group in groups(*ALERT_FILES) for rule in group["rules"]}
    assert {case.alert for case in CASES} == shipped == set(ALERTS)


@each_case
def test_the_text_of_an_alert_is_complete(case: Case, tmp_path: Path) -> None:
    minutes = case.wait + case.settle + 60
    result = unit_test(
        tmp_path,
        files=files_with(case.alert),
        series=series(case.signals, [(False, 60), (True, minutes - 60 + 5)]),
        # Expect an alert that cannot be, so that promtool prints the one that is.
        alerts=[{"eval_time": f"{minutes}m", "alertname": case.alert, "exp_alerts": []}],
    )
    text = result.stdout + result.stderr
    assert result.returncode != 0
    for key in ("summary", "description", "runbook_url", "dashboard_url"):
        assert f'{key}="' in text
    for broken in ("{{", "no value", "error expanding", "%!"):
        assert broken not in text
    assert f"/{case.alert}.md" in text
