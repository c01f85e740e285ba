"""The committed files: in step with the settings, clean for promtool, and naming only what exists."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.alerting.rules import ALERTS, Settings, product
from sidecar.exposition import catalogue, label_metrics, model_metrics, sidecar_metrics
from sidecar.exposition.metric import Metric

from .promtool import RULES, call, groups

RUNBOOKS = RULES.parent / "docs" / "runbooks"
SCALING = RULES.parent / "docs" / "scaling.md"
RULE_FILES = sorted(RULES.glob("*.yml"))
ALL_RULE_FILES = [*RULE_FILES, *sorted((RULES / "alternatives").glob("*.yml"))]

UNREAD = {
    model_metrics.DRIFT["ks"],
    model_metrics.OUT_OF_RANGE,
    sidecar_metrics.CONFIG_RELOAD_TIMESTAMP,
    sidecar_metrics.CONNECTIONS_REFUSED,
    sidecar_metrics.REQUESTS_REFUSED,
    sidecar_metrics.STORAGE_FAILURES,
    sidecar_metrics.STORAGE_SET_ASIDE,
    sidecar_metrics.STORAGE_RESETS,
    sidecar_metrics.STORAGE_CHECKPOINT_TIMESTAMP,
    sidecar_metrics.STORAGE_CHECKPOINT_BYTES,
    sidecar_metrics.BUILD_INFO,
    label_metrics.LABEL_PREDICTIONS,
    label_metrics.LABEL_PREDICTIONS_REPEATED,
    label_metrics.LABEL_PENDING,
    label_metrics.WINDOW_LABELS,
    label_metrics.ACCURACY,
    label_metrics.PRECISION,
    label_metrics.RECALL,
    label_metrics.BRIER_SCORE,
    label_metrics.CALIBRATION_ERROR,
    label_metrics.MEAN_ABSOLUTE_ERROR,
    label_metrics.ROOT_MEAN_SQUARE_ERROR,
    sidecar_metrics.LABELS_RECEIVED,
    sidecar_metrics.LABELS_REJECTED,
}
"""Metrics for people and dashboards that no rule reads."""

ONLY_IN_THE_VARIANT = {
    model_metrics.DRIFT["psi"],
    model_metrics.DRIFT["kl"],
    model_metrics.DRIFT["js"],
    model_metrics.DRIFT["threshold"],
}


def sample_names(metric: Metric) -> set[str]:
    if metric.type == "histogram":
        return {f"{metric.name}_{suffix}" for suffix in ("bucket", "count", "sum")}
    return {metric.name}


def named_in(query: str) -> set[str]:
    """Return the series that a query names: no labels, functions or label values."""
    query = re.sub(r'"[^"]*"', '""', query)
    query = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", query)
    query = re.sub(r"\{[^}]*\}", " ", query)
    return set(re.findall(r"(?<![\w:.])(?:model|process|prometheus|up\b)[\w:]*", query))


def expressions(files: list[Path]) -> Iterator[str]:
    return (rule["expr"] for group in groups(*files) for rule in group["rules"])


def records(files: list[Path]) -> set[str]:
    return {rule["record"] for group in groups(*files) for rule in group["rules"] if "record" in rule}


CATALOGUE = set().union(*(sample_names(metric) for metric in catalogue.CATALOGUE))


@pytest.mark.parametrize("path", product(Settings()), ids=str)
def test_a_golden_rule_file_is_in_step_with_the_settings(path: Path, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--golden", default=False):
        (RULES / path).write_text(product(Settings())[path])
    assert (RULES / path).read_text() == product(Settings())[path], "run: model-sidecar rules --output rules"


def test_no_other_rule_file_is_committed() -> None:
    assert {path.relative_to(RULES) for path in RULES.rglob("*.yml")} == set(product(Settings()))


def test_promtool_finds_nothing_to_complain_about() -> None:
    for files in (RULE_FILES, ALL_RULE_FILES[len(RULE_FILES) :]):
        result = call("promtool", "check", "rules", *files)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "lint error" not in result.stdout + result.stderr


def test_rules_name_only_metrics_and_records_that_exist() -> None:
    known = CATALOGUE | records(ALL_RULE_FILES) | {"up"}
    for expression in expressions(ALL_RULE_FILES):
        assert named_in(expression) - known == set(), expression


def test_every_metric_is_read_by_a_rule_or_known_not_to_be() -> None:
    read = set().union(*map(named_in, expressions(RULE_FILES)))
    read_by_variant = set().union(*map(named_in, expressions(ALL_RULE_FILES)))
    unread = {metric for metric in catalogue.CATALOGUE if not sample_names(metric) & read}
    assert unread == UNREAD | ONLY_IN_THE_VARIANT
    assert {metric for metric in catalogue.CATALOGUE if not sample_names(metric) & read_by_variant} == UNREAD


def test_the_variant_records_what_the_drift_alerts_read() -> None:
    variant = records([RULES / "alternatives" / "drift.pod-gauges.recording.yml"])
    for expression in expressions([RULES / "drift.alerts.yml"]):
        assert named_in(expression) <= variant


def test_the_variant_and_what_it_replaces_record_under_the_same_names() -> None:
    variant = records([RULES / "alternatives" / "drift.pod-gauges.recording.yml"])
    assert variant <= records([RULES / "drift.recording.yml"])


def test_no_expression_loses_the_label_namespace() -> None:
    for expression in expressions(ALL_RULE_FILES):
        for labels in re.findall(r"\bby \(([^)]*)\)", expression):
            assert "namespace" in labels.split(", "), expression
        for labels in re.findall(r"\bon \(([^)]*)\)", expression):
            assert "namespace" in labels.split(", "), expression


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_a_runbook_has_its_three_sections(alert: str) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text()
    assert re.findall(r"^#+ .*$", text, re.MULTILINE)[:4] == [
        f"# {alert}",
        "## Meaning",
        "## First look",
        "## Fix",
    ]
    assert all(len(section.strip()) > 80 for section in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:])
    assert "```promql" in text.split("## First look")[1].split("## Fix")[0]


@pytest.mark.parametrize("alert", ALERTS)
def test_queries_of_a_runbook_parse_and_name_what_exists(alert: str, tmp_path: Path) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text()
    queries = queries_in(text)
    known = CATALOGUE | records(RULE_FILES) | {"up", "process_cpu_seconds_total"}
    known.add("prometheus_rule_evaluation_failures_total")
    rules = tmp_path / "queries.yml"
    lines = ["groups:", "  - name: runbook", "    rules:"]
    for number, query in enumerate(queries):
        assert named_in(query) - known == set(), query
        indented = query.replace("\n", "\n          ")
        lines += [f"      - record: query:{number}", "        expr: |", f"          {indented}"]
    rules.write_text("\n".join(lines) + "\n")
    result = call("promtool", "check", "rules", rules)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_metrics_that_a_runbook_mentions_exist(alert: str) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text()
    known = CATALOGUE | records(RULE_FILES) | {"process_resident_memory_bytes"}
    for name in re.findall(r"`((?:model_|model:|process_)[\w:]+)`", text):
        assert name in known


def test_the_readme_lists_every_alert_record_and_unread_metric() -> None:
    text = (RULES / "README.md").read_text()
    window = Settings().drift.alert_window
    for record in records(RULE_FILES):
        stem = re.sub(r"\d+[smhd]$", "", record.replace(window, ""))
        assert stem in text, record
    for name in [*ALERTS, *(metric.name for metric in UNREAD)]:
        assert f"`{name}`" in text


def test_the_readme_lists_every_setting() -> None:
    text = (RULES / "README.md").read_text()
    for section in Settings.__struct_fields__:
        value = getattr(Settings(), section)
        fields = value.__struct_fields__ if section != "alerts" else ["<name>"]
        for field in fields:
            assert f"`{section}.{field}`" in text, f"{section}.{field}"


@pytest.mark.parametrize("alert", ALERTS)
def test_the_readme_says_how_long_how_grave_and_what_an_alert_sets_off(alert: str) -> None:
    (row,) = re.findall(rf"^\|.*`{alert}`.*\|.*\|$", (RULES / "README.md").read_text(), re.MULTILINE)
    wait, severity, action = [cell.strip() for cell in row.split("|")[3:6]]
    policy, burn = Settings().policy(alert), Settings().objectives.burn
    assert wait == (policy.for_ or ", ".join(row.for_ for row in burn))
    assert severity == (policy.severity or ", ".join(row.severity for row in burn))
    assert action == policy.action


def test_the_snippets_of_the_scaling_guide_are_valid(tmp_path: Path) -> None:
    snippets = re.findall(r"```yaml\n(.*?)```", SCALING.read_text(), re.DOTALL)
    assert len(snippets) == 3
    job: dict[str, Any] = {"job_name": "model-sidecar", "metric_relabel_configs": []}
    whole: dict[str, Any] = {"scrape_configs": [job]}
    for snippet in snippets:
        for key, value in yaml.safe_load(textwrap.dedent(snippet)).items():
            if key == "metric_relabel_configs":
                job[key] += value
            else:
                whole[key] = value
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(whole))
    result = call("promtool", "check", "config", path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_scaling_guide_names_the_size_of_the_rules() -> None:
    all_groups = groups(*RULE_FILES)
    largest = max(len(group["rules"]) for group in all_groups)
    assert f"{len(all_groups)} groups of at most {largest} rules" in SCALING.read_text()


def queries_in(text: str) -> list[str]:
    """Return the queries of the promql blocks; a line that goes on with an operator belongs to the one
    before."""
    blocks = re.findall(r"```promql\n(.*?)```", text, re.DOTALL)
    return [query for block in blocks for query in re.split(r"\n(?![/+*-]|and |or |unless )", block.strip()) if query]
