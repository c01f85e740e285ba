"""What Grafana makes of a dashboard: panels, queries, and the values that it puts in for variables and macros."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.paths import ROOT

FOLDER = ROOT / "dashboards"
DASHBOARDS: dict[str, dict[str, Any]] = {
    p.stem: json.loads(p.read_text("utf-8")) for p in sorted(FOLDER.glob("*.json"))
}

ALL = "$__all"
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)", re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """A query of a dashboard: where it is, what it asks, and the labels that what is shown of it needs."""

    where: str
    expr: str
    range: bool
    on_every_series: frozenset[str] = frozenset()


@dataclass
class Values:
    """The values of variables and macros at one moment."""

    macros: Mapping[str, str]
    chosen: dict[str, str] = field(default_factory=dict)

    def put_into(self, text: str) -> str:
        """Return a text with every variable and macro filled in; raises KeyError for one that is not known."""
        known = {**self.macros, **self.chosen}
        return _VARIABLE.sub(lambda match: known[match[1] or match[2]], text)

    def choose(self, variable: Mapping[str, Any], *values: str) -> None:
        """Choose values of a variable, written as the data source for Prometheus writes them."""
        name = variable["name"]
        if values == (ALL,):
            self.chosen[name] = variable["allValue"]
        elif variable.get("multi") or variable.get("includeAll"):
            escaped = [re.sub(r"[\\^$*+?.()|{}\[\]/]", lambda m: "\\\\" + m[0], value) for value in values]
            self.chosen[name] = escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
        else:
            [value] = values
            self.chosen[name] = value.replace("\\", "\\\\").replace('"', '\\"')


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every panel that shows data."""
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            yield panel
        else:
            assert not panel["panels"], "panels below a row are its neighbours unless it is folded"


def variables(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the variables in their order."""
    return list(dashboard["templating"]["list"])


def label_values(variable: Mapping[str, Any]) -> tuple[str, str]:
    """Return the series and the label that a variable asks for."""
    match = _LABEL_VALUES.fullmatch(variable["query"])
    assert match, variable["query"]
    return match[1], match[2]


def queries(panel: Mapping[str, Any]) -> Iterator[Asked]:
    """Yield the queries of a panel."""
    of_series = set(re.findall(r"\$\{__field\.labels\.(\w+)", json.dumps(panel["fieldConfig"])))
    for target in panel["targets"]:
        legend = set(re.findall(r"\{\{ *(\w+) *\}\}", target.get("legendFormat") or ""))
        yield Asked(
            where=f"{panel['title']} {target['refId']}",
            expr=target["expr"],
            range=bool(target.get("range")),
            on_every_series=frozenset(legend | of_series),
        )


def columns(panel: Mapping[str, Any]) -> dict[str, str]:
    """Return the titles of the columns of a table or bar chart, by label or value."""
    for step in panel.get("transformations") or []:
        if step["id"] == "organize":
            names: dict[str, str] = step["options"]["renameByName"]
            return names
    return {}


def label_columns(panel: Mapping[str, Any]) -> set[str]:
    """Return the labels that a table or bar chart shows or orders by."""
    found = {name for name in columns(panel) if not name.startswith("Value")}
    for step in panel.get("transformations") or []:
        if step["id"] == "organize":
            found |= set(step["options"]["excludeByName"]) - {"Time"}
    return found | ({panel["options"]["xField"]} if panel["type"] == "barchart" else set())


def annotations(dashboard: Mapping[str, Any]) -> Iterator[Asked]:
    """Yield the queries of annotations."""
    for mark in dashboard["annotations"]["list"]:
        formats = mark["titleFormat"] + mark["textFormat"]
        labels = set(re.findall(r"\{\{ *(\w+) *\}\}", formats)) | set(mark["tagKeys"].split(","))
        yield Asked(
            where=f"annotation {mark['name']}", expr=mark["expr"], range=True, on_every_series=frozenset(labels)
        )
