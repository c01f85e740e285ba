"""Run promtool and amtool on rules and made-up series."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.paths import ROOT
from tests.plugins.programs import program

RULES = ROOT / "rules"
DRIFT_RECORDING = RULES / "drift.recording.yml"
QUALITY_RECORDING = RULES / "quality.recording.yml"
SERVICE_RECORDING = RULES / "service.recording.yml"


@dataclass(frozen=True)
class Check:
    """Expect a query at a time to give these series (as text with labels) and values, and nothing else."""

    at: str
    query: str
    samples: Mapping[str, float]


def call(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program and return its result with output."""
    name, *rest = command
    return subprocess.run([program(str(name)), *rest], capture_output=True, text=True, check=False, timeout=300)


def groups(*files: Path) -> list[dict[str, Any]]:
    """Return the groups of rule files, in order."""
    return [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]


def check_rules(
    directory: Path,
    *,
    files: Sequence[Path],
    series: Mapping[str, str],
    checks: Sequence[Check],
    interval: str = "1m",
) -> None:
    """Evaluate rule files over series once a minute and compare queries with what is expected."""
    result = unit_test(directory, files=files, series=series, checks=checks, interval=interval)
    assert result.returncode == 0, result.stdout + result.stderr


def unit_test(
    directory: Path,
    *,
    files: Sequence[Path],
    series: Mapping[str, str],
    checks: Sequence[Check] = (),
    alerts: Sequence[Mapping[str, Any]] = (),
    interval: str = "1m",
) -> subprocess.CompletedProcess[str]:
    """Write a promtool unit test, run it and return the result."""
    test = {
        "rule_files": [str(file) for file in files],
        "evaluation_interval": "1m",
        "group_eval_order": [group["name"] for group in groups(*files)],
        "tests": [
            {
                "interval": interval,
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": check.query,
                        "eval_time": check.at,
                        "exp_samples": [{"labels": labels, "value": value} for labels, value in check.samples.items()],
                    }
                    for check in checks
                ],
                "alert_rule_test": list(alerts),
            }
        ],
    }
    path = directory / "unit_test.yml"
    path.write_text(yaml.safe_dump(test, sort_keys=False, width=1_000_000))
    return call("promtool", "test", "rules", path)
