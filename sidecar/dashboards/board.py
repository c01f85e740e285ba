"""A dashboard as a whole: where its panels lie, and what all dashboards share."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from sidecar.alerting.rules.settings import Settings
from sidecar.dashboards import links
from sidecar.dashboards.panels import DATASOURCE, Placed
from sidecar.dashboards.promql import pick
from sidecar.dashboards.variables import Variable, data_source
from sidecar.kubernetes.rollback import metrics as rollback_metrics

COLUMNS = 24
TAG = "model-sidecar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and the lines of panels below it."""

    title: str
    lines: Sequence[Sequence[Placed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard: its identity, its variables after the data source, and its sections."""

    uid: str
    description: str
    variables: Sequence[Variable]
    sections: Sequence[Section]
    marks: str = ""
    """Narrows the marks of rollbacks to models: selectors of `model_namespace` and `model`."""
    since: str = "now-6h"


def document(board: Board, settings: Settings) -> dict[str, Any]:
    """Return a dashboard as the JSON that Grafana reads."""
    made = build.Dashboard(links.TITLES[board.uid]).uid(board.uid).description(board.description).tags([TAG])
    made = made.time(board.since, "now").refresh("1m").timezone("browser").editable()
    made = made.tooltip(dashboard.DashboardCursorSync.CROSSHAIR).version(1)
    for variable in (data_source(), *board.variables):
        made = made.with_variable(variable)
    namespaces = any(variable.build().name == "namespace" for variable in board.variables)
    for link in links.between(board.uid, settings.links, namespaces=namespaces):
        made = made.link(link)
    whole = made.build()
    whole.panels = list(_laid_out(board.sections))
    text: dict[str, Any] = json.loads(JSONEncoder().encode(_decoded(whole)))
    text["annotations"] = {"list": [_mark(board.marks)]}
    return text


def _decoded(whole: dashboard.Dashboard) -> dashboard.Dashboard:
    """Return what the library's own decoder reads, which fills in what Grafana would."""
    return dashboard.Dashboard.from_json(json.loads(JSONEncoder().encode(whole)))


def _laid_out(sections: Iterable[Section]) -> Iterable[dashboard.Panel | dashboard.RowPanel]:
    top, number = 0, 0
    for section in sections:
        number += 1
        head = build.Row(section.title).id(number).collapsed(False).build()
        head.grid_pos = dashboard.GridPos(h=1, w=COLUMNS, x=0, y=top)
        head.panels = []
        top += 1
        yield head
        for line in section.lines:
            left = 0
            for placed in line:
                number += 1
                panel = placed.panel.build()
                panel.id_val = number
                panel.grid_pos = dashboard.GridPos(h=placed.height, w=placed.width, x=left, y=top)
                left += placed.width
                yield panel
            top += max(placed.height for placed in line)


def _mark(selectors: str) -> dict[str, Any]:
    """Return the annotation of rollbacks: what was done to which model, at the moment it was done.

    The library knows no fields of annotations but its own; those of Prometheus are written here.
    """
    metric = rollback_metrics.MODEL_LAST_ACTION
    last = pick(metric.name, selectors) if selectors else metric.name
    return {
        "name": "Rollbacks",
        "builtIn": 0,
        "enable": True,
        "hide": False,
        "iconColor": "#6A1B6A",
        "datasource": DATASOURCE.to_json(),
        "expr": f"max by ({', '.join(metric.labels)}) ({last}) * 1000 > $__from",
        "step": "60s",
        "titleFormat": "{{action}}: {{outcome}}",
        "textFormat": "model {{model}} in {{model_namespace}}",
        "tagKeys": "action,outcome",
        "useValueForTime": True,
    }
