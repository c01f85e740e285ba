"""Every query of every panel, variable and annotation, answered by a real Prometheus."""

import math
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
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
from tests.dashboards.live import Live, everything

STEP_SECONDS = 5
SCRAPE_SECONDS = 1

NUMERIC_ONLY = {"KL, JS and KS C"}
"""Kolmogorov-Smirnov needs an order of values: categories have none, and the panel says so."""

CATEGORICAL = {"carrier", "origin", "dest", "prediction"}


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
    found = live.over_time(expr, step_seconds=STEP_SECONDS) if asked.range else live.now(expr)
    numbers = [float(v) for series in found for _, v in series.get("values", [series.get("value")])]
    assert numbers, f"{asked.where}: no data from\n{expr}"
    assert any(math.isfinite(v) for v in numbers), f"{asked.where}: only {set(numbers)} from\n{expr}"
    for series in found:
        missing = [label for label in asked.on_every_series if not series["metric"].get(label)]
        assert not missing, f"{asked.where}: {missing} not in {series['metric']}"
    return [series["metric"] for series in found]


def test_every_query_is_answered_with_the_labels_that_are_shown_and_links_of_alerts_lead_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Be one test, so that everything is started once, however many workers share the tests."""
    try:
        with everything(tmp_path) as live:
            asked = {uid: ask_all(live, uid) for uid in DASHBOARDS}
            follow_links_of_alerts(live)
    except MissingProgram as missing:
        pytest.fail(f"programs are missing; run: {missing}")
    shown = {uid: len(list(panels(dashboard))) for uid, dashboard in DASHBOARDS.items()}
    with capsys.disabled():
        print()
        for uid, times in asked.items():
            print(f"{uid}: {len(times)} queries of {shown[uid]} panels answered, {times.total()} times in all")
        print(f"{sum(map(len, asked.values()))} queries of {sum(shown.values())} panels answered")


def ask_all(live: Live, uid: str) -> Counter[str]:
    """Ask every query of a dashboard with every choice of variables; return how often each was answered."""
    dashboard = DASHBOARDS[uid]
    times: Counter[str] = Counter()
    for values in choices(live, dashboard):
        for panel in panels(dashboard):
            labels = []
            for asked in queries(panel):
                if asked.where in NUMERIC_ONLY and values.chosen["feature"] in CATEGORICAL:
                    continue
                labels.append({label for metric in answered(live, asked, values) for label in metric})
                times[asked.where] += 1
            shown = label_columns(panel)
            assert shown <= set().union(*labels), f"{panel['title']}: {shown}, but there are {labels}"
            if shown:
                assert all(each == labels[0] for each in labels), f"{panel['title']}: rows of {labels} cannot be joined"
        for asked in annotations(dashboard):
            answered(live, asked, values)
            times[asked.where] += 1
    assert {asked.where for panel in panels(dashboard) for asked in queries(panel)} <= set(times)
    return times


def follow_links_of_alerts(live: Live) -> None:
    """Read the links of the alerts that fire: their variables are there, and what they choose is among the values."""
    seen = set()
    for alert in live.asked("alerts")["alerts"]:
        link = urlsplit(alert["annotations"]["dashboard_url"])
        uid = link.path.rpartition("/d/")[2]
        known = {variable["name"]: variable for variable in variables(DASHBOARDS[uid])}
        everything_chosen = {v["name"]: v["allValue"] for v in known.values() if v.get("includeAll")}
        for name, [value] in parse_qs(link.query, keep_blank_values=True, strict_parsing=True).items():
            series, label = label_values(known[name.removeprefix("var-")])
            found = live.label_values(Values(macros(live), everything_chosen).put_into(series), label)
            assert value in found, (alert["labels"], name)
        seen.add(uid)
    assert seen == {"model-drift", "model-service", "model-sidecar"}
