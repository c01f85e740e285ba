"""Settings: defaults hold together, files are parsed strictly, and each mistake gets one sentence."""

from pathlib import Path

import msgspec
import pytest
import yaml

from sidecar import config
from sidecar.alerting.rules import ALERTS, Settings, load, product, rule_groups
from sidecar.alerting.rules.duration import just_under
from sidecar.alerting.rules.rule import Alert, Record
from sidecar.base.configfile import ConfigError
from sidecar.base.duration import milliseconds
from sidecar.cli import rules as command

from .promtool import call

MISTAKES = {
    "drift: {window: 1h}": "drift: there is no such key: `window`",
    "drifts: {}": "there is no such key: `drifts`",
    "drift: {min_samples: many}": "drift.min_samples: 'many': Expected `int`, got `str`",
    "drift: {min_samples: 0}": "drift.min_samples: 0: Expected `int` >= 1",
    "drift: {windows: [5m, an hour]}": "Expected `str` matching regex",
    "drift: {windows: [1h, 5m]}": "drift: windows must ascend, without repetition",
    "drift: {windows: []}": "drift.windows: Expected `array` of length >= 1",
    "drift: {alert_window: 2h}": "drift: alert_window 2h is not one of windows",
    "drift: {interval: 0s}": "interval 0s must be longer than nothing",
    "drift: {interval: 4m}": "shortest window 5m must be at least twice interval 4m",
    "drift: {windows: [5m, 90s, 1h]}": "windows must ascend",
    "drift: {windows: [5m, 330s, 1h]}": "window 330s must be a multiple of interval 1m",
    "drift: {thresholds: {critical: 0.15}}": "thresholds must ascend: moderate < significant < critical < rollback",
    "service: {error_ratio: 5}": "service.error_ratio: 5: Expected `float` < 1.0",
    "objectives: {success: 0.9}": "burn factor 14.4 on target 0.9 needs 144% bad predictions and could never fire",
    "objectives: {latency: [{target: 0.5, seconds: 1}]}": "could never fire",
    "objectives: {burn: [{factor: 2, long: 5m, short: 1h, severity: info, for: 1m}]}": "short window 1h must be",
    "alerts: {DataDrift: {action: alert}}": "alerts has no alert named DataDrift; known are ModerateDataDrift,",
    "alerts: {CriticalDataDrift: {action: reboot}}": "alerts[...].action: Invalid enum value 'reboot'",
    "canary: {label: a-b}": "Expected `str` matching regex",
    "canary: {candidate: x, stable: x}": "candidate and stable must differ",
    "canary: {window: 90s}": "canary.window 90s must be a multiple of drift.interval 1m and no shorter",
    "canary: {window: 4m}": "canary.window 4m must be",
    "canary: {latency_ratio: 1}": "Expected `float` > 1.0",
    "links: {runbook: 'https://example.com/'}": "runbook must contain {alert}",
    "drift: {min_samples: 5, min_samples: 6}": "the key 'min_samples' is there twice",
    "drift: [": "line 1: expected the node content",
    "[]": "Expected `object`, got `array`",
}


def written(directory: Path, text: str) -> Path:
    path = directory / "site.yml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(("text", "message"), MISTAKES.items())
def test_a_mistake_is_refused_with_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.yml")


@pytest.mark.parametrize("text", ["", "# nothing", "{}", "drift: {}\nalerts: {}"])
def test_a_file_that_changes_nothing_gives_the_defaults(text: str, tmp_path: Path) -> None:
    assert load(written(tmp_path, text)) == Settings()


def test_the_defaults_of_the_rules_are_those_of_the_sidecar() -> None:
    ours, theirs = Settings(), config.ModelConfig(name="fraud")
    assert ours.drift.windows == tuple(window.text for window in theirs.windows)
    assert ours.drift.windows == ("5m", "1h", "24h")
    assert ours.drift.alert_window == theirs.drift_window().text
    assert ours.drift.min_samples == theirs.drift.min_samples
    assert msgspec.structs.asdict(ours.drift.thresholds) == msgspec.structs.asdict(theirs.drift.thresholds)
    objectives = [(slo.target, slo.seconds) for slo in theirs.latency.slos]
    assert [(one.target, one.seconds) for one in ours.objectives.latency] == objectives


def test_one_value_changes_the_window_of_every_drift_alert(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "drift: {alert_window: 24h}"))
    drift = [
        rule for rule in alerts(settings) if rule.alert.endswith("Drift") and not rule.alert.startswith("Candidate")
    ]
    assert len(drift) == 8
    for rule in drift:
        assert "model_feature:drift_psi:ratio24h" in rule.expr
        assert "1h" not in rule.expr


def test_one_value_changes_the_action_of_an_alert(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "alerts: {CriticalDataDrift: {action: rollback, for: 1m, severity: warning}}"))
    changed = {rule.alert: rule for rule in alerts(settings)}["CriticalDataDrift"]
    assert (changed.labels["action"], changed.labels["severity"], changed.for_) == (
        "rollback",
        "warning",
        "1m",
    )
    untouched = {rule.alert: rule for rule in alerts(settings)}["RollbackDataDrift"]
    assert untouched in alerts(Settings())


def test_an_alert_can_be_switched_off(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "alerts: {ModelSidecarReferenceStale: {enabled: false}}"))
    assert {rule.alert for rule in alerts(settings)} == set(ALERTS) - {"ModelSidecarReferenceStale"}


def test_windows_and_durations_can_be_as_short_as_seconds(tmp_path: Path) -> None:
    quick = {
        "drift": {"windows": ["10s", "30s"], "alert_window": "30s", "interval": "1s"},
        "service": {"window": "10s", "interval": "1s"},
        "objectives": {
            "interval": "1s",
            "burn": [{"factor": 14.4, "long": "30s", "short": "10s", "severity": "critical", "for": "1s"}],
        },
        "quality": {"interval": "1s"},
        "health": {"interval": "1s"},
        "alerts": {name: {"for": "2s"} for name in ALERTS},
    }
    settings = load(written(tmp_path, yaml.safe_dump(quick)))
    for group in rule_groups(settings):
        assert group.interval == "1s"
    assert {rule.for_ for rule in alerts(settings)} == {"2s"}
    texts = product(settings)
    for name in texts:
        (tmp_path / name.name).write_text(texts[name])
    checked = call("promtool", "check", "rules", *(tmp_path / name for name in texts if name.parent == Path()))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    records = {
        rule.record: rule.expr for group in rule_groups(settings) for rule in group.rules if isinstance(rule, Record)
    }
    assert (
        "sum_over_time(model_feature_bin:observations:increase10s[29s999ms]) / 10"
        in records["model_feature_bin:observations:increase30s"]
    )


def test_a_backslash_in_the_job_reaches_prometheus(tmp_path: Path) -> None:
    settings = load(written(tmp_path, r"health: {job: 'fraud\.sidecar'}"))
    down = {rule.alert: rule for rule in alerts(settings)}["ModelSidecarDown"]
    assert down.expr == r'up{job=~"fraud\\.sidecar"} == 0'


def test_a_whole_number_of_seconds_matches_both_ways_of_writing_the_bucket(tmp_path: Path) -> None:
    settings = load(written(tmp_path, "objectives: {latency: [{target: 0.99, seconds: 2}]}"))
    text = "".join(rule.expr for group in rule_groups(settings) for rule in group.rules)
    assert 'le=~"2([.]0)?"' in text
    assert 'le="2"' not in text


@pytest.mark.parametrize(("duration", "expected"), [("1h30m", 5_400_000), ("10s", 10_000), ("1d2h", 93_600_000)])
def test_durations_are_read_as_prometheus_does(duration: str, expected: int) -> None:
    assert milliseconds(duration) == expected
    assert milliseconds(just_under(duration)) == expected - 1


def test_the_command_prints_one_file_with_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert [group["name"] for group in printed["groups"]] == [group.name for group in rule_groups(Settings())]


def test_the_command_prints_a_prometheus_rule_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 0
    groups = yaml.safe_load(capsys.readouterr().out)["groups"]
    assert command.main(["--prometheus-rule"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert (printed["apiVersion"], printed["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    for group, same in zip(printed["spec"]["groups"], groups, strict=True):
        for rule, other in zip(group["rules"], same["rules"], strict=True):
            assert {**rule, "expr": rule["expr"].strip()} == {**other, "expr": other["expr"].strip()}


def test_the_command_says_what_is_wrong_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--config", str(written(tmp_path, "drift: {min_samples: 0}"))]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "drift.min_samples: 0" in shown.err


def test_the_command_refuses_two_outputs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert command.main(["--output", str(tmp_path), "--prometheus-rule"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def alerts(settings: Settings) -> list[Alert]:
    return [rule for group in rule_groups(settings) for rule in group.rules if isinstance(rule, Alert)]
