"""The dashboards of the chart: those of `dashboards/`, where Grafana's own chart looks for them."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Chart, HelmError, package

from tests.paths import ROOT

CHART = ROOT / "helm" / "model-sidecar"
DASHBOARDS = {path.name: path for path in (ROOT / "dashboards").glob("*.json")}


@pytest.fixture(scope="module")
def chart() -> Iterator[Chart]:
    with Chart.load(CHART) as loaded:
        yield loaded


def config_maps(chart: Chart, **values: Any) -> list[dict[str, Any]]:
    texts = chart.render(values, name="watch", namespace="models")
    documents = yaml.safe_load_all(texts.get("model-sidecar/templates/dashboards.yaml", ""))
    return [document for document in documents if document]


def test_there_are_none_unless_asked_for(chart: Chart) -> None:
    assert config_maps(chart) == []


def test_each_dashboard_is_a_config_map_with_the_label_that_grafana_looks_for(chart: Chart) -> None:
    made = config_maps(chart, dashboards={"enabled": True})
    assert {name for one in made for name in one["data"]} == set(DASHBOARDS)
    for one in made:
        [(name, text)] = one["data"].items()
        assert json.loads(text) == json.loads(DASHBOARDS[name].read_text("utf-8"))
        assert one["kind"] == "ConfigMap"
        assert one["metadata"]["name"] == f"watch-dashboard-{name.removesuffix('.json')}"
        assert one["metadata"]["namespace"] == "models"
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "watch"
        assert len(text) < 500_000, "a ConfigMap holds a megabyte"


def test_labels_folder_and_namespace_are_those_of_the_site(chart: Chart) -> None:
    values = {"enabled": True, "namespace": "monitoring", "annotations": {"grafana_folder": "Models"}}
    for one in config_maps(chart, dashboards={**values, "labels": {"dash": "yes"}}):
        assert one["metadata"]["namespace"] == "monitoring"
        assert one["metadata"]["annotations"] == {"grafana_folder": "Models"}
        assert one["metadata"]["labels"]["dash"] == "yes"


def test_runbooks_are_those_of_the_site(chart: Chart) -> None:
    rules = {"runbookBaseUrl": "https://wiki.test/run/"}
    texts = [
        t
        for one in config_maps(chart, dashboards={"enabled": True}, prometheusRule=rules)
        for t in one["data"].values()
    ]
    assert all("https://wiki.test/run/" in text for text in texts)
    assert not any("runbooks.example.com" in text for text in texts)


def test_the_dashboards_are_linked_in_and_their_code_is_left_out_of_the_package(tmp_path: Path) -> None:
    assert (CHART / "dashboards").is_symlink()
    assert (CHART / "dashboards").resolve() == (ROOT / "dashboards").resolve()
    with tarfile.open(package(CHART, destination=tmp_path)) as packed:
        folder = "model-sidecar/dashboards/"
        assert {name.removeprefix(folder) for name in packed.getnames() if folder in name} == set(DASHBOARDS)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"enable": True}, "enable"), ({"labels": {"a": 1}}, "labels"), ({"namespace": 1}, "namespace")],
)
def test_bad_values_are_refused_by_name(chart: Chart, values: dict[str, Any], message: str) -> None:
    with pytest.raises(HelmError, match=message):
        config_maps(chart, dashboards=values)
