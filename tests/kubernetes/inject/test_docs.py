"""What docs/kubernetes.md says is what the injector does."""

import argparse
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from sidecar.cli import inject
from sidecar.kubernetes.inject import metrics, settings
from sidecar.kubernetes.inject.form import FORMS
from sidecar.kubernetes.inject.outcome import SILENT, Outcome
from sidecar.kubernetes.inject.settings import Settings
from tests.kubernetes.inject.pods import Json, patched
from tests.paths import ROOT

DOCUMENT = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return DOCUMENT.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(title: str, number: int = 0) -> list[list[str]]:
    tables = re.findall(r"(?m)^\|.*\n\|[-|]+\n((?:\|.*\n?)+)", section(title))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in tables[number].splitlines()]


def yaml_of(title: str, number: int = 0) -> Any:
    return yaml.safe_load(re.findall(r"(?ms)^```yaml\n(.*?)^```", section(title))[number])


def test_every_annotation_is_there_with_its_default() -> None:
    told = {row[0].strip("`"): row[1] for row in rows("Annotations")}
    site = Settings()

    assert set(told) == set(FORMS)
    assert told["socket-dir"] == f"`{site.socket_dir}`"
    assert told["port"] == f"`{site.port}`"
    assert told["cpu-request"] == f"`{site.resources.requests.cpu}`"
    assert (told["cpu-limit"], site.resources.limits.cpu) == ("none", None)
    assert told["memory-request"] == f"`{site.resources.requests.memory}`"
    assert told["memory-limit"] == f"`{site.resources.limits.memory}`"


def test_every_outcome_is_there_and_who_is_told() -> None:
    told = {row[0].split("`")[1]: row[0].endswith("*") for row in rows("What is left alone")}

    assert told == {outcome.value: outcome not in SILENT for outcome in Outcome}


def test_every_option_metric_and_setting_is_there() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    inject.add_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings}
    assert {option for row in rows("The injector") for option in re.findall(r"--[\w.-]+", row[0])} == options

    told = {row[0].strip("`"): re.findall(r"`(\w+)`", row[1]) for row in rows("The injector", 1)}
    assert told == {metric.name: list(metric.labels) for metric in metrics.CATALOGUE}

    shown = yaml_of("The injector")
    assert set(shown) == {field.name for field in msgspec.structs.fields(Settings)}
    assert settings.parse(yaml.safe_dump(shown), Path("inject.yml")) == Settings()


def merged(base: Any, added: Any) -> Any:
    """Lay what the document says is added over what was there; lists by the names in them."""
    if isinstance(base, dict) and isinstance(added, dict):
        return {key: merged(base.get(key), added.get(key)) for key in {**base, **added}}
    if isinstance(base, list) and isinstance(added, list):
        names = {item["name"]: item for item in added}
        return [merged(item, names.pop(item["name"], None)) for item in base] + list(names.values())
    return base if added is None else added


def test_the_worked_example_is_what_is_added() -> None:
    before: Json = yaml_of("What is added")

    assert patched(before) == merged(before, yaml_of("What is added", 1))
