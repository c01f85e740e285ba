"""The chart, rendered by Helm's own engine: the rules and routes of `rules/`, with what a site changes."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Chart, HelmError, lint

from tests.alerting.rules.promtool import RULES, call
from tests.helm.rendering import CHART, Object, loaded, of_kind, parsed

NOTHING_ELSE: Object = {"injector": {"enabled": False}, "podMonitor": {"enabled": False}}


@pytest.fixture(scope="module")
def chart() -> Chart:
    return loaded()


def rendered(chart: Chart, **values: Any) -> list[Object]:
    """Return the rules and routes."""
    texts = chart.render({**NOTHING_ELSE, **values}, name="watch", namespace="models")
    return [o for name, text in texts.items() if not name.endswith(".txt") for o in parsed(text)]


def alerts_of(objects: list[Object]) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for rule_object in of_kind(objects, "PrometheusRule").values():
        for group in rule_object["spec"]["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    found.setdefault(rule["alert"], []).append(rule)
    return found


def test_there_is_an_object_for_each_rule_file(chart: Chart) -> None:
    objects = rendered(chart)
    assert {o["kind"] for o in objects} == {"PrometheusRule"}
    files = {f"watch-{path.stem.replace('.', '-')}": path for path in RULES.glob("*.yml")}
    assert set(of_kind(objects, "PrometheusRule")) == set(files)
    for name, rule_object in of_kind(objects, "PrometheusRule").items():
        assert rule_object["metadata"]["namespace"] == "models"
        assert rule_object["spec"] == yaml.safe_load(files[name].read_text())


def test_the_rules_are_linked_in_and_not_copied() -> None:
    assert (CHART / "rules").is_symlink()
    assert (CHART / "rules").resolve() == RULES.resolve()


def test_promtool_accepts_what_the_chart_makes_of_the_rules(chart: Chart, tmp_path: Path) -> None:
    changed = {"alerts": {"CriticalDataDrift": {"action": "rollback", "for": "5m", "severity": "warning"}}}
    for name, rule_object in of_kind(rendered(chart, prometheusRule=changed), "PrometheusRule").items():
        path = tmp_path / f"{name}.yml"
        path.write_text(yaml.safe_dump(rule_object["spec"]))
        result = call("promtool", "check", "rules", path)
        assert result.returncode == 0, result.stdout + result.stderr


def test_an_alert_takes_the_action_duration_and_severity_of_the_site(chart: Chart) -> None:
    before = alerts_of(rendered(chart))
    changed = {"CriticalDataDrift": {"action": "rollback", "for": "5m", "severity": "warning"}}
    after = alerts_of(rendered(chart, prometheusRule={"alerts": changed}))
    [alert] = after.pop("CriticalDataDrift")
    assert (alert["for"], alert["labels"]) == ("5m", {"action": "rollback", "severity": "warning"})
    before.pop("CriticalDataDrift")
    assert after == before


def test_an_alert_can_be_switched_off(chart: Chart) -> None:
    before = alerts_of(rendered(chart))
    after = alerts_of(rendered(chart, prometheusRule={"alerts": {"HighErrorRate": {"enabled": False}}}))
    assert set(before) - set(after) == {"HighErrorRate"}


def test_links_are_those_of_the_site(chart: Chart) -> None:
    links = {"runbookBaseUrl": "https://wiki.test/run/", "grafanaBaseUrl": "https://see.test/"}
    alerts = alerts_of(rendered(chart, prometheusRule=links))
    for name, rules in alerts.items():
        for rule in rules:
            assert rule["annotations"]["runbook_url"] == f"https://wiki.test/run/{name}.md"
            assert rule["annotations"].get("dashboard_url", "https://see.test/").startswith("https://see.test/")


def test_labels_that_prometheus_and_alertmanager_select_by_are_added(chart: Chart) -> None:
    labels = {"labels": {"release": "stack"}}
    for o in rendered(chart, prometheusRule=labels, alertmanagerConfig={"enabled": True, **labels}):
        assert o["metadata"]["labels"]["release"] == "stack"
        assert o["metadata"]["labels"]["app.kubernetes.io/instance"] == "watch"


def test_the_routes_are_the_shipped_ones_with_the_urls_and_the_secret_of_the_site(chart: Chart) -> None:
    values = {"enabled": True, "actionUrl": "http://act:1/a", "alertUrl": "http://tell:2/b", "secretName": "token"}
    [config] = of_kind(rendered(chart, alertmanagerConfig=values), "AlertmanagerConfig").values()
    shipped = yaml.safe_load((RULES / "alertmanager" / "alertmanagerconfig.yml").read_text())["spec"]
    assert config["spec"]["route"] == shipped["route"]
    assert config["spec"]["inhibitRules"] == shipped["inhibitRules"]
    hooks = {r["name"]: r["webhookConfigs"][0] for r in config["spec"]["receivers"]}
    urls = {name: hook["url"] for name, hook in hooks.items()}
    assert urls == {"rollback": "http://act:1/a", "scale-down": "http://act:1/a", "alert": "http://tell:2/b"}
    credentials = [hook["httpConfig"]["authorization"]["credentials"] for hook in hooks.values()]
    assert [c["name"] for c in credentials] == ["token"] * 3


def test_everything_can_be_switched_off(chart: Chart) -> None:
    assert rendered(chart, prometheusRule={"enabled": False}) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prometheusRules": {}}, "prometheusRules"),
        ({"prometheusRule": {"alerts": {"CriticalDataDrift": {"action": "page"}}}}, "action"),
        ({"prometheusRule": {"alerts": {"CriticalDataDrift": {"for": "soon"}}}}, "for"),
        ({"prometheusRule": {"alerts": {"CriticlDataDrift": {"for": "5m"}}}}, "there is no alert CriticlDataDrift"),
        ({"prometheusRule": {"runbookBaseUrl": "wiki.test"}}, "runbookBaseUrl"),
        ({"alertmanagerConfig": {"enabled": "yes"}}, "enabled"),
        ({"injector": {"mode": "sidecar"}}, "/injector/mode.*'webhook', 'policy'"),
        ({"injector": {"timeoutSeconds": 30}}, "/injector/timeoutSeconds"),
        ({"injector": {"excludedNamespaces": []}}, "/injector/excludedNamespaces"),
        ({"injector": {"certificate": {"form": "existing"}}}, "additional properties 'form' not allowed"),
        ({"injector": {"enabled": True, "certificate": {"from": "existing"}}}, "injector.certificate.secretName"),
        ({"sidecar": {"user": 0}}, "/sidecar/user"),
        ({"sidecar": {"socketDir": "run"}}, "/sidecar/socketDir"),
        ({"sidecar": {"resources": {"limits": {"memory": "256"}}}}, "/sidecar/resources/limits/memory"),
        ({"image": {"digest": "latest"}}, "/image/digest"),
        ({"rollback": {"enabled": True}}, "rollback.policies: at least one policy is needed"),
        ({"rollback": {"policies": [{"name": "a", "action": "page", "namespaces": ["ml"]}]}}, "action"),
        ({"rollback": {"settings": {"timzone": "UTC"}}}, "additional properties 'timzone' not allowed"),
    ],
)
def test_bad_values_are_refused_by_name(chart: Chart, values: dict[str, Any], message: str) -> None:
    with pytest.raises(HelmError, match=message):
        rendered(chart, **values)


def test_helm_finds_nothing_to_complain_about() -> None:
    report = lint(CHART)
    assert report["errors"] == []
    assert [m["error"] for m in report["messages"] if "icon" not in m["error"]] == []
