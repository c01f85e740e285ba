"""The chart, rendered by Helm's own engine."""

from functools import cache
from typing import Any

import yaml
from helm_python import Chart

from tests.paths import ROOT

CHART = ROOT / "helm" / "model-sidecar"

Object = dict[str, Any]


class _Loader(yaml.CSafeLoader):
    """Read a bare `=`, which Helm writes and Kubernetes reads, as text."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


@cache
def loaded() -> Chart:
    """Return the chart, which is loaded once."""
    return Chart.load(CHART)


def texts(chart: Chart | None = None, **values: Any) -> dict[str, str]:
    """Return what becomes of each template."""
    return (chart or loaded()).render(values, name="watch", namespace="models")


def parsed(text: str) -> list[Object]:
    """Return the objects of a YAML text."""
    return [document for document in yaml.load_all(text, _Loader) if document]


def rendered(**values: Any) -> list[Object]:
    """Return every object of a release `watch` in the namespace `models`."""
    found = texts(**values)
    return [o for name, text in found.items() if not name.endswith(".txt") for o in parsed(text)]


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    """Return the objects of a kind by name."""
    return {o["metadata"]["name"]: o for o in objects if o["kind"] == kind}
