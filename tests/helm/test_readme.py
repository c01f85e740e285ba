"""The README of the chart is in step with values.yaml."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.helm.rendering import CHART, loaded

SCRIPT = CHART.parent / "write_readme.py"


def test_the_table_of_values_is_what_values_yaml_says() -> None:
    command = [sys.executable, str(SCRIPT), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert result.returncode == 0, result.stderr


def test_a_value_without_a_comment_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model-sidecar"
    folder.mkdir()
    (folder / "README.md").write_text("")
    (folder / "values.yaml").write_text("# All of it.\nall:\n  # One.\n  one: 1\n  two: 2\n")
    script = tmp_path / "write_readme.py"
    script.write_text(SCRIPT.read_text())

    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)

    assert "Undocumented: all.two" in result.stderr


def paths(schema: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, inner in schema.get("properties", {}).items():
        found |= paths(inner, f"{prefix}{name}.") or {f"{prefix}{name}"}
    return found


def keys(values: Any, known: set[str], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, inner in values.items():
        here = f"{prefix}{name}"
        found |= {here} if here in known or not isinstance(inner, dict) else keys(inner, known, f"{here}.")
    return found


def test_the_schema_has_every_value_and_no_other() -> None:
    schema = loaded().schema
    assert schema is not None
    known = paths(schema)
    optional = {name for name in known if name.startswith(("rollback.settings.", "injector.certificate.issuerRef."))}
    optional |= {"global", *(name for name in known if name.endswith("limits.cpu"))}

    assert keys(yaml.safe_load((CHART / "values.yaml").read_text()), known) - {"rollback.settings"} == known - optional


def test_the_schema_refuses_what_it_does_not_know_everywhere() -> None:
    def closed(schema: dict[str, Any], path: str) -> list[str]:
        inner = schema.get("properties", {})
        wrong = [] if not inner or schema.get("additionalProperties") is False else [path]
        return wrong + [place for name, each in inner.items() for place in closed(each, f"{path}.{name}")]

    assert closed(loaded().schema or {}, "") == []
