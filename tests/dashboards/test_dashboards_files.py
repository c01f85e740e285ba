"""The committed files: in step with the code, sound for Grafana, and naming only what exists."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as sdk
from grafana_foundation_sdk.models import units
from numpy.typing import NDArray

from sidecar.alerting.rules import ALERTS, Settings
from sidecar.alerting.rules.files import rule_groups
from sidecar.alerting.rules.rule import Alert, Record
from sidecar.cli import main
from sidecar.dashboards import links, look
from sidecar.dashboards.files import product
from sidecar.exposition import catalogue, label_metrics, model_metrics, sidecar_metrics
from sidecar.exposition.metric import Metric
from sidecar.kubernetes.rollback import metrics as rollback_metrics
from tests.alerting.rules.promtool import call
from tests.dashboards.grafana import (
    DASHBOARDS,
    FOLDER,
    Asked,
    Values,
    annotations,
    columns,
    label_values,
    panels,
    queries,
    variables,
)

UIDS = {"model-drift", "model-feature", "model-service", "model-sidecar", "model-rollback"}
SCHEMA_VERSIONS = range(36, 42)
"""From the first that writes data sources as objects, to that of Grafana 11.6; later ones read older schemas."""

OF_PROMETHEUS = {"up", "ALERTS", "scrape_duration_seconds", "scrape_samples_post_metric_relabeling"}
OF_THE_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
FROM_TO = {"__interval": "15s", "__rate_interval": "1m", "__range": "6h", "__from": "0"}


def expressions(dashboard: dict[str, Any], windows: tuple[str, ...] = ("1h",)) -> Iterator[str]:
    """Yield every query of a dashboard, with any value for its variables."""
    for window in windows:
        values = Values(FROM_TO, {v["name"]: "x" for v in variables(dashboard)} | {"window": window})
        for asked in _all_asked(dashboard):
            yield values.put_into(asked.expr)


def _all_asked(dashboard: dict[str, Any]) -> Iterator[Asked]:
    for panel in panels(dashboard):
        yield from queries(panel)
    yield from annotations(dashboard)
    for variable in variables(dashboard):
        if variable["type"] == "query":
            yield Asked(variable["name"], label_values(variable)[0], range=False)


def named_in(expr: str) -> set[str]:
    """Return the series that a query names: what is neither a function, a keyword, a label nor a number."""
    text = re.sub(r'"[^"]*"', '""', expr)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text)
    words = set(re.findall(r"(?<![\w:.])[a-zA-Z_][\w:]*(?!\s*\()(?![\w:])", text))
    return words - {"and", "or", "unless", "bool", "by", "on", "offset"}


def samples(metric: Metric) -> set[str]:
    ends = ("_bucket", "_count", "_sum") if metric.type == "histogram" else ("",)
    return {metric.name + end for end in ends}


RULES = [rule for group in rule_groups(Settings()) for rule in group.rules]
RECORDS = {rule.record for rule in RULES if isinstance(rule, Record)}
EXPORTED = set().union(*(samples(m) for m in (*catalogue.CATALOGUE, *rollback_metrics.CATALOGUE)))


def test_golden_dashboards_are_in_step_with_the_code(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--golden"):
        assert main(["dashboards", f"--output={FOLDER}"]) == 0
    committed = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.json")}
    assert committed == product(Settings()), "if the code is right: make golden"


def test_uids_are_those_that_rules_and_bookmarks_link_to() -> None:
    assert set(DASHBOARDS) == UIDS == set(links.TITLES)
    for uid, dashboard in DASHBOARDS.items():
        assert (dashboard["uid"], dashboard["title"]) == (uid, links.TITLES[uid])
    linked = {link.rpartition("/d/")[2] for name, link in _links_of_rules() if "dashboard" in name}
    assert linked <= UIDS


def _links_of_rules() -> Iterator[tuple[str, str]]:
    defaults = Settings().links
    for name in defaults.__struct_fields__:
        yield name, getattr(defaults, name)


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_alerts_link_with_variables_that_the_dashboard_has(uid: str) -> None:
    names = {f"var-{variable['name']}" for variable in variables(DASHBOARDS[uid])}
    for rule in RULES:
        if isinstance(rule, Alert) and f"/d/{uid}?" in rule.annotations["dashboard_url"]:
            assert set(re.findall(r"[?&](var-\w+)=", rule.annotations["dashboard_url"])) <= names


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_the_decoder_of_the_library_reads_all_of_it_and_writes_it_again(uid: str) -> None:
    register_default_plugins()
    once: dict[str, Any] = json.loads(JSONEncoder().encode(sdk.Dashboard.from_json(DASHBOARDS[uid])))
    whole = dict(DASHBOARDS[uid])
    [mark], [known] = whole.pop("annotations")["list"], once.pop("annotations")["list"]
    assert once == whole
    # The library has none of the fields that annotations of Prometheus have, but for the query.
    added = {"step", "titleFormat", "textFormat", "tagKeys", "useValueForTime"}
    assert known == {name: value for name, value in mark.items() if name not in added}


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_every_panel_says_what_it_is_in_which_unit_and_when_it_is_worse(uid: str) -> None:
    known_units = {value for value in vars(units).values() if isinstance(value, str)}
    assert DASHBOARDS[uid]["description"].endswith(".")
    for panel in panels(DASHBOARDS[uid]):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"], panel["id"]
        assert len(panel["description"]) > 25, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert defaults["unit"] in known_units, panel["title"]
        assert defaults["thresholds"]["steps"][0]["value"] is None, panel["title"]
        values = [step["value"] for step in defaults["thresholds"]["steps"][1:]]
        assert values == sorted(values), panel["title"]
        assert defaults["noValue"], panel["title"]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_panels_have_ids_and_titles_of_their_own_and_do_not_overlap(uid: str) -> None:
    everything = [*panels(DASHBOARDS[uid]), *(p for p in DASHBOARDS[uid]["panels"] if p["type"] == "row")]
    for key in ("id", "title"):
        values = [panel[key] for panel in everything]
        assert len(set(values)) == len(values), key
    taken: dict[tuple[int, int], str] = {}
    for panel in everything:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert taken.setdefault(cell, panel["title"]) == panel["title"]
    for y in range(max(y for _, y in taken) + 1):
        assert {x for x, top in taken if top == y} == set(range(24)), f"a gap in line {y}"


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_the_data_source_is_the_variable_everywhere(uid: str) -> None:
    dashboard = DASHBOARDS[uid]
    found = list(_data_sources({key: value for key, value in dashboard.items() if key != "uid"}))
    targets = sum(len(panel["targets"]) for panel in panels(dashboard))
    assert len(found) >= targets + len(list(panels(dashboard))) + 1
    assert {json.dumps(source, sort_keys=True) for source in found} == {
        '{"type": "prometheus", "uid": "${datasource}"}'
    }
    assert variables(dashboard)[0] | {"name": "datasource", "type": "datasource"} == variables(dashboard)[0]
    for panel in panels(dashboard):
        assert "datasource" in panel, panel["title"]
        assert all("datasource" in target for target in panel["targets"]), panel["title"]


def _data_sources(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        if "datasource" in node:
            yield node["datasource"]
        for key, value in node.items():
            if key != "datasource":
                yield from _data_sources(value)
    elif isinstance(node, list):
        for item in node:
            yield from _data_sources(item)


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_rates_follow_the_scrape_interval_and_other_ranges_the_time_shown(uid: str) -> None:
    for asked in _all_asked(DASHBOARDS[uid]):
        assert set(re.findall(r"\[([^\]]+)\]", asked.expr)) <= {"$__rate_interval", "$__range"}, asked
        assert not re.search(r"\b(rate|irate)\([^\[]*\[(?!\$__rate_interval\])", asked.expr), asked
        assert "offset" not in asked.expr
        assert not (asked.range and "$__range" in asked.expr), f"{asked.where}: each point would look over all of it"


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_queries_name_only_metrics_and_records_that_exist(uid: str) -> None:
    known = EXPORTED | RECORDS | OF_PROMETHEUS | OF_THE_PROCESS
    for expr in expressions(DASHBOARDS[uid], Settings().drift.windows):
        assert named_in(expr), expr
        assert named_in(expr) <= known, expr


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_promtool_reads_every_query(uid: str, tmp_path: Path) -> None:
    rules = [{"record": "query", "expr": expr} for expr in expressions(DASHBOARDS[uid])]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    result = call("promtool", "check", "rules", "--lint=none", tmp_path / "queries.yml")
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_metric_of_the_sidecar_and_of_the_receiver_is_shown_or_known_not_to_be() -> None:
    shown = set().union(*(named_in(e) for uid in DASHBOARDS for e in expressions(DASHBOARDS[uid])))
    shown |= set().union(*(named_in(rule.expr) for rule in RULES if isinstance(rule, Record) and rule.record in shown))
    steps = ("model_feature_bin:", "model_label:", "model:labels_compared:")
    through = {name for name in RECORDS if name.startswith(steps)}
    shown |= set().union(
        *(named_in(rule.expr) for rule in RULES if isinstance(rule, Record) and rule.record in through)
    )
    unshown = {m.name for m in (*catalogue.CATALOGUE, *rollback_metrics.CATALOGUE) if not samples(m) & shown}
    assert unshown == {
        # Of one replica; the dashboards show the same of the whole fleet.
        *(
            m.name
            for m in (
                model_metrics.DRIFT["kl"],
                model_metrics.DRIFT["js"],
                model_metrics.DRIFT["threshold"],
                model_metrics.WINDOW_SAMPLES,
            )
        ),
        *(
            m.name
            for m in (
                label_metrics.WINDOW_LABELS,
                label_metrics.ACCURACY,
                label_metrics.PRECISION,
                label_metrics.RECALL,
            )
        ),
        *(m.name for m in (label_metrics.BRIER_SCORE, label_metrics.CALIBRATION_ERROR)),
        *(m.name for m in (label_metrics.MEAN_ABSOLUTE_ERROR, label_metrics.ROOT_MEAN_SQUARE_ERROR)),
        # Of models whose predictions are numbers, in a unit of their own.
        *(m.name for m in (label_metrics.DIFFERENCES, label_metrics.ABSOLUTE_ERROR, label_metrics.SQUARED_ERROR)),
        # To look into, where the panels about labels say that something is wrong.
        *(
            m.name
            for m in (
                label_metrics.LABEL_PREDICTIONS,
                label_metrics.LABEL_PREDICTIONS_REPEATED,
                sidecar_metrics.LABELS_RECEIVED,
            )
        ),
        rollback_metrics.CONFIG_RELOAD_TIMESTAMP.name,
    }


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_panel_that_leads_to_its_runbook_and_so_does_the_table_of_alerts(alert: str) -> None:
    urls = {link["url"] for d in DASHBOARDS.values() for panel in panels(d) for link in panel.get("links") or []}
    runbook = Settings().links.runbook
    assert runbook.replace("{alert}", alert) in urls
    [table] = [p for p in panels(DASHBOARDS["model-drift"]) if p["title"] == "Alerts firing, by name"]
    assert runbook.replace("{alert}", "${__data.fields.Alert:percentencode}") in json.dumps(table, ensure_ascii=False)


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_links_lead_to_the_other_dashboards_with_variables_that_those_have(uid: str) -> None:
    text = json.dumps(DASHBOARDS[uid])
    found = re.findall(r"/d/([\w-]+)(\?[^\"]*)?", text)
    assert {other for other, _ in found} >= UIDS - {uid}
    here = {variable["name"] for variable in variables(DASHBOARDS[uid])}
    for other, query in found:
        names = {variable["name"] for variable in variables(DASHBOARDS[other])}
        assert set(re.findall(r"\$\{(\w+):queryparam\}", query)) <= here
        assert set(re.findall(r"var-(\w+)=", query)) <= names
        assert set(re.findall(r"\$\{(\w+):queryparam\}", query)) <= names | {"__url_time_range"}
    for panel in panels(DASHBOARDS[uid]):
        titles = set(columns(panel).values())
        assert set(re.findall(r"\$\{__data\.fields\.(\w+)", json.dumps(panel))) <= titles, panel["title"]


def test_variables_of_one_name_mean_one_thing_everywhere() -> None:
    meant: dict[str, set[tuple[str, ...]]] = {}
    for dashboard in DASHBOARDS.values():
        for variable in variables(dashboard):
            asks = variable["type"] == "query"
            subject = label_values(variable)[1] if asks else variable["query"]
            # A link keeps the values, so the jobs of the sidecars must not become those of the receiver.
            family = label_values(variable)[0].startswith("model_rollback") if asks else False
            meant.setdefault(variable["name"], set()).add((variable["type"], subject, str(family)))
    assert {name: len(meanings) for name, meanings in meant.items()} == dict.fromkeys(meant, 1)


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_it_fits_the_grafana_it_is_for_and_belongs_to_nobody(uid: str) -> None:
    dashboard = DASHBOARDS[uid]
    assert dashboard["schemaVersion"] in SCHEMA_VERSIONS
    assert dashboard.get("id") is None
    assert dashboard["tags"] == ["model-sidecar"]
    assert [mark["name"] for mark in dashboard["annotations"]["list"]] == ["Rollbacks"]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_colours_are_those_of_the_palette(uid: str) -> None:
    known = {*look.SERIES, *look.LEVELS.values(), look.NEUTRAL, look.LIVE, look.REFERENCE, look.LIMIT}
    named = set(re.findall(r'"(?:color|fixedColor|iconColor)": "([^"]+)"', json.dumps(DASHBOARDS[uid])))
    assert named <= known
    assert set(re.findall(r'"mode": "(continuous-[^"]+)"', json.dumps(DASHBOARDS[uid]))) == set()


SIGHT = {
    "full": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""How linear RGB is seen without one kind of cones (Machado, Oliveira and Fernandes 2009, severity 1)."""


def seen(colour: str, matrix: Any) -> NDArray[np.float64]:
    """Return a colour as it is seen, in CIE L*a*b* (D65), where distances are differences for the eye."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.array(matrix) @ np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(linear, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHT)
def test_levels_differ_for_every_eye_and_are_written_in_words(sight: str) -> None:
    for a, b in combinations(look.LEVELS.values(), 2):
        assert np.linalg.norm(seen(a, SIGHT[sight]) - seen(b, SIGHT[sight])) > 20, (a, b)
    [mapping] = look.level_words()
    assert isinstance(mapping, sdk.ValueMap)
    assert [result.text for result in mapping.options.values()] == [
        "none",
        "moderate",
        "significant",
        "critical",
        "rollback",
    ]


def test_the_measure_of_colours_finds_red_and_green_too_alike() -> None:
    red, green = (seen(colour, SIGHT["deuteranopia"]) for colour in ("#C04000", "#608000"))
    assert np.linalg.norm(red - green) < 20


def test_a_site_writes_its_own_with_its_windows_limits_and_links(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text(
        "drift: {windows: [10m, 2h], alert_window: 2h, thresholds: {critical: 0.3}}\n"
        "objectives: {latency: [{target: 0.95, seconds: 0.25}]}\n"
        "links: {runbook: 'https://wiki.test/{alert}'}\n"
    )
    assert main(["dashboards", f"--config.file={tmp_path / 'site.yml'}", f"--output={tmp_path / 'out'}"]) == 0
    written = {path.stem: path.read_text("utf-8") for path in (tmp_path / "out").glob("*.json")}
    assert set(written) == UIDS
    [window] = [v for v in variables(json.loads(written["model-drift"])) if v["name"] == "window"]
    assert (window["query"], window["current"]["value"]) == ("10m,2h", "2h")
    assert "> bool 0.3)" in written["model-drift"]
    assert 'slo=\\"latency_250ms\\"' in written["model-service"]
    assert "https://wiki.test/HighErrorRate" in written["model-service"]
    assert "runbooks.example.com" not in "".join(written.values())


def test_settings_that_cannot_work_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site.yml").write_text("drift: {windos: [5m]}")
    assert main(["dashboards", f"--config.file={tmp_path / 'site.yml'}", f"--output={tmp_path / 'out'}"]) == 1
    assert "windos" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
