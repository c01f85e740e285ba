"""Every query of every panel, variable and annotation, answered by a real Prometheus."""

import math
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from demo.stack import MissingProgram
from tests.dashboards.grafana import (
    ALL,
    DASHBOARDS,
    Asked,
    Values,
    annotations,
    label_columns,
    label_values,
    panels,
    queries,
    variables,
)
from tests.dashboards.live import MODEL, NAMESPACE, Live, everything

STEP_SECONDS = 5
SCRAPE_SECONDS = 1

NUMERIC_ONLY = {"KL, JS and KS C"}
"""Kolmogorov-Smirnov needs an order of values: categories have none, and the panel says so."""

CATEGORICAL = {"carrier", "origin", "dest", "prediction"}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    try:
        with everything(tmp_path_factory.mktemp("live")) as running:
            yield running
    except MissingProgram as missing:
        pytest.fail(f"programs are missing; run: {missing}")


def macros(live: Live) -> dict[str, str]:
    """Return the macros as Grafana computes them for the time since everything began."""
    return {
        "__interval": f"{STEP_SECONDS}s",
        "__rate_interval": f"{max(STEP_SECONDS + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)}s",
        "__range": f"{round(time.time() - live.since)}s",
        "__from": str(round(live.since * 1000)),
    }


def choices(live: Live, dashboard: dict[str, Any]) -> Iterator[Values]:
    """Yield the variables as they are at first, then with what there is chosen by name, each feature in turn."""
    yield from _chosen(live, variables(dashboard), Values(macros(live)), by_name=False)
    yield from _chosen(live, variables(dashboard), Values(macros(live)), by_name=True)


def _chosen(live: Live, rest: list[dict[str, Any]], values: Values, *, by_name: bool) -> Iterator[Values]:
    if not rest:
        yield Values(values.macros, dict(values.chosen))
        return
    variable, *later = rest
    options: list[tuple[str, ...]]
    if variable["type"] == "datasource":
        options = []
    elif variable["type"] == "custom":
        options = [(name,) for name in variable["query"].split(",")] if by_name else [(variable["current"]["value"],)]
    else:
        series, label = label_values(variable)
        found = live.label_values(values.put_into(series), label)
        assert found, f"variable {variable['name']} has no values"
        if not variable["includeAll"]:
            options = [(name,) for name in found]
        else:
            assert variable["current"]["value"] == [ALL]
            options = [tuple(found)] if by_name else [(ALL,)]
    for option in options:
        values.choose(variable, *option)
        yield from _chosen(live, later, values, by_name=by_name)
    if not options:
        yield from _chosen(live, later, values, by_name=by_name)


def answered(live: Live, asked: Asked, values: Values) -> list[dict[str, str]]:
    """Return the labels of the series that a query gives; fails unless there are any, with numbers.

    What stands in for no data is taken away first, so that the query itself has to answer.
    """
    expr = re.sub(r"\s+or vector\(0\)$", "", values.put_into(asked.expr))
    found = live.over_time(expr, step=f"{STEP_SECONDS}s") if asked.range else live.now(expr)
    numbers = [float(v) for series in found for _, v in series.get("values", [series.get("value")])]
    assert numbers, f"{asked.where}: no data from\n{expr}"
    assert any(math.isfinite(v) for v in numbers), f"{asked.where}: only {set(numbers)} from\n{expr}"
    for series in found:
        missing = [label for label in asked.on_every_series if not series["metric"].get(label)]
        assert not missing, f"{asked.where}: {missing} not in {series['metric']}"
    return [series["metric"] for series in found]


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_every_query_of_every_panel_is_answered_with_the_labels_that_are_shown(
    live: Live, uid: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dashboard = DASHBOARDS[uid]
    asked_of: dict[str, int] = {}
    for values in choices(live, dashboard):
        for panel in panels(dashboard):
            shown: set[str] = set()
            joined: set[frozenset[str]] = set()
            for asked in queries(panel):
                if asked.where in NUMERIC_ONLY and values.chosen["feature"] in CATEGORICAL:
                    continue
                found = answered(live, asked, values)
                labels = {label for metric in found for label in metric}
                joined.add(frozenset(labels))
                shown |= labels
                asked_of[asked.where] = asked_of.get(asked.where, 0) + 1
            assert label_columns(panel) <= shown, panel["title"]
            assert panel["type"] not in ("table", "barchart") or len(joined) == 1, f"{panel['title']}: rows of {joined}"
        for asked in annotations(dashboard):
            answered(live, asked, values)
            asked_of[asked.where] = asked_of.get(asked.where, 0) + 1
    everything_asked = {asked.where for panel in panels(dashboard) for asked in queries(panel)}
    assert everything_asked <= set(asked_of)
    with capsys.disabled():
        count = len(list(panels(dashboard)))
        print(f"\n{uid}: {len(asked_of)} queries of {count} panels answered, {sum(asked_of.values())} times in all")


def test_links_of_alerts_lead_to_dashboards_with_those_variables_and_values(live: Live) -> None:
    seen = set()
    for alert in live.asked("alerts")["alerts"]:
        link = urlsplit(alert["annotations"]["dashboard_url"])
        uid = link.path.rpartition("/d/")[2]
        known = {variable["name"]: variable for variable in variables(DASHBOARDS[uid])}
        values = Values(macros(live))
        for name, [value] in parse_qs(link.query, keep_blank_values=True).items():
            variable = known[name.removeprefix("var-")]
            series, label = label_values(variable)
            found = live.label_values(Values(values.macros, _all(uid)).put_into(series), label)
            assert value in found or alert["labels"]["namespace"] == "operations", (alert["labels"], name)
            values.choose(variable, value)
        seen.add(uid)
    assert seen == {"model-drift", "model-service", "model-sidecar"}
    assert live.label_values("model_predictions_total", "namespace") == [NAMESPACE]
    assert live.label_values("model_predictions_total", "model") == [MODEL]


def _all(uid: str) -> dict[str, str]:
    return {v["name"]: v["allValue"] for v in variables(DASHBOARDS[uid]) if v.get("includeAll")}
