"""The catalogue follows the conventions of Prometheus, and its documentation says what it says."""

import pytest

from sidecar.exposition.catalogue import CATALOGUE
from sidecar.exposition.metric import Metric
from tests.paths import ROOT

DOCUMENT = ROOT / "docs" / "metrics.md"
BEGIN, END = "<!-- catalogue: begin -->\n", "<!-- catalogue: end -->\n"


def row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
    return f"| `{metric.name}` | {metric.type} | {labels} | {metric.help} |\n"


def table() -> str:
    return "| metric | type | labels | what |\n|---|---|---|---|\n" + "".join(map(row, CATALOGUE))


def test_the_golden_table_in_the_documentation_is_the_catalogue(request: pytest.FixtureRequest) -> None:
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    right = f"{before}{BEGIN}{table()}{END}{after}"
    if request.config.getoption("--golden"):
        DOCUMENT.write_text(right)
    assert DOCUMENT.read_text() == right, "docs/metrics.md differs; if the catalogue is right: make golden"


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_a_metric_is_named_as_its_type_asks(metric: Metric) -> None:
    assert metric.name.startswith("model_")
    assert metric.name.endswith("_total") == (metric.type == "counter")
    assert metric.help.endswith(".")
    assert len(set(metric.labels)) == len(metric.labels)


def test_no_metric_is_there_twice() -> None:
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)
