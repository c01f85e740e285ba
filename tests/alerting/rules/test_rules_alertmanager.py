"""Routing: every alert reaches the receiver of its action and the people; the graver silence the lesser."""

import re
from typing import Any

import pytest
import yaml

from sidecar.alerting.rules import ALERTS, Settings
from sidecar.base.duration import milliseconds

from .alert_cases import CASES, Case
from .promtool import RULES, call

CONFIGURATION = RULES / "alertmanager" / "alertmanager.yml"
RECEIVERS = {"alert": "alert", "rollback": "rollback,alert", "scale_down": "scale-down,alert"}

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def configuration() -> dict[str, Any]:
    return dict(yaml.safe_load(CONFIGURATION.read_text()))


def custom_resource() -> dict[str, Any]:
    return dict(yaml.safe_load((RULES / "alertmanager" / "alertmanagerconfig.yml").read_text()))


def test_amtool_accepts_the_configuration() -> None:
    result = call("amtool", "check-config", CONFIGURATION)
    assert result.returncode == 0, result.stdout + result.stderr


@each_case
def test_an_alert_reaches_the_receiver_of_its_action_and_the_people(case: Case) -> None:
    labels = {"alertname": case.alert, **case.alert_labels}
    arguments = [f"{key}={value}" for key, value in labels.items()]
    result = call("amtool", "config", "routes", "test", f"--config.file={CONFIGURATION}", *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.strip() == RECEIVERS[labels["action"]]


def test_every_action_has_a_receiver_with_a_token_from_a_file() -> None:
    receivers = {receiver["name"]: receiver for receiver in configuration()["receivers"]}
    assert set(receivers) == {"alert", "rollback", "scale-down"}
    for receiver in receivers.values():
        (webhook,) = receiver["webhook_configs"]
        assert webhook["http_config"]["authorization"]["type"] == "Bearer"
        assert webhook["http_config"]["authorization"]["credentials_file"]
        assert webhook["send_resolved"] is True


def test_actions_repeat_just_after_the_cooldown() -> None:
    route = configuration()["route"]
    cooldown = milliseconds(Settings().routing.cooldown)
    repeats = [milliseconds(child["repeat_interval"]) for child in route["routes"] if "repeat_interval" in child]
    assert len(repeats) == 2
    assert all(cooldown < repeat <= cooldown + milliseconds(route["group_interval"]) for repeat in repeats)


def test_alerts_are_grouped_by_namespace_and_model() -> None:
    assert configuration()["route"]["group_by"] == ["namespace", "model"]


@pytest.mark.parametrize(
    ("source", "target", "inhibited"),
    [
        ("RollbackDataDrift", "CriticalDataDrift", True),
        ("RollbackDataDrift", "ModerateDataDrift", True),
        ("CriticalDataDrift", "SignificantDataDrift", True),
        ("CriticalPredictionDrift", "ModeratePredictionDrift", True),
        ("SignificantPredictionDrift", "ModeratePredictionDrift", True),
        ("ModerateDataDrift", "SignificantDataDrift", False),
        ("CriticalDataDrift", "RollbackDataDrift", False),
        ("CriticalDataDrift", "CriticalDataDrift", False),
        ("CriticalP99Latency", "HighP95Latency", True),
        ("HighErrorRate", "ErrorBudgetBurn", True),
        ("ModelSidecarDown", "CriticalDataDrift", False),
    ],
)
def test_the_graver_alert_silences_the_lesser_of_the_same_thing(source: str, target: str, inhibited: bool) -> None:
    same = {"namespace": "prod", "model": "fraud", "role": "input", "feature": "amount"}
    assert silences({"alertname": source, **same}, {"alertname": target, **same}) is inhibited
    for label in ("namespace", "model"):
        assert not silences({"alertname": source, **same}, {"alertname": target, **same, label: "other"})


def test_drift_of_one_feature_does_not_silence_another() -> None:
    same = {"namespace": "prod", "model": "fraud", "role": "input"}
    source = {"alertname": "RollbackDataDrift", **same, "feature": "amount"}
    assert not silences(source, {"alertname": "CriticalDataDrift", **same, "feature": "merchant"})


def test_every_inhibition_names_alerts_that_exist() -> None:
    for rule in configuration()["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            pattern = matcher.removeprefix('alertname=~"').removesuffix('"')
            assert any(re.fullmatch(pattern, alert) for alert in ALERTS), matcher


def test_the_custom_resource_says_the_same_as_the_configuration() -> None:
    assert in_words_of_alertmanager(custom_resource()["spec"]) == without_credentials(configuration())


def silences(source: dict[str, str], target: dict[str, str]) -> bool:
    return any(
        matches(rule["source_matchers"], source)
        and matches(rule["target_matchers"], target)
        and all(source.get(label) == target.get(label) for label in rule["equal"])
        for rule in configuration()["inhibit_rules"]
    )


def matches(matchers: list[str], labels: dict[str, str]) -> bool:
    found = [re.fullmatch(r'(\w+)=~"(.*)"', matcher) for matcher in matchers]
    assert all(found)
    return all(match and re.fullmatch(match[2], labels.get(match[1], "")) for match in found)


def without_credentials(config: dict[str, Any]) -> dict[str, Any]:
    for receiver in config["receivers"]:
        del receiver["webhook_configs"][0]["http_config"]["authorization"]["credentials_file"]
    return config


def in_words_of_alertmanager(value: Any) -> Any:
    """Turn the spec of an AlertmanagerConfig into the configuration that the operator makes of it."""
    if isinstance(value, list):
        return [in_words_of_alertmanager(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"name", "matchType", "value"}:
        return f'{value["name"]}{value["matchType"]}"{value["value"]}"'
    renamed = {"sourceMatch": "source_matchers", "targetMatch": "target_matchers"}
    return {
        renamed.get(key, re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), key)): in_words_of_alertmanager(item)
        for key, item in value.items()
        if key != "credentials"
    }
