"""Windows without drift hardly ever raise an alarm, and the documentation says how often."""

import re

import pytest

from bench.calibration import BINS, SAMPLES, simulate, table
from tests.paths import ROOT

DOCUMENT = ROOT / "docs" / "calibration.md"
TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)


def test_at_most_one_window_of_200_without_drift_reaches_a_level() -> None:
    for samples in SAMPLES:
        for bins in BINS:
            assert simulate(samples, bins).calibrated <= 1


def test_the_fixed_threshold_alone_would_raise_far_more() -> None:
    assert simulate(200, 50).fixed > 150


def test_the_golden_table_in_the_documentation_is_what_the_simulation_prints(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--golden"):
        DOCUMENT.write_text(TABLE.sub(table(), DOCUMENT.read_text()))
    assert table() in DOCUMENT.read_text(), "docs/calibration.md differs; if that is right: make golden"
