"""`pytest --prometheus 3` runs Prometheus 3, its Alertmanager and their tools, which tests/install-programs unpacks."""

import os

import pytest

from tests.paths import ROOT

NEWEST = ROOT / "build" / "prometheus-3" / "usr" / "bin"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--prometheus",
        choices=["2", "3"],
        default="2",
        help="generation of Prometheus that is run: 2 is what is installed, 3 is in build/prometheus-3",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--prometheus") == "3":
        if not (NEWEST / "prometheus").exists():
            raise pytest.UsageError(f"{NEWEST} is not there; unpack it with: tests/install-programs --prometheus 3")
        os.environ["PATH"] = f"{NEWEST}{os.pathsep}{os.environ['PATH']}"
