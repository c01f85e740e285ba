"""Windows without drift hardly ever raise an alarm, and the documentation says how often."""

from pathlib import Path

from bench.calibration import BINS, SAMPLES, simulate, table

DOCUMENT = Path(__file__).parents[1] / "docs" / "calibration.md"


def test_at_most_one_window_of_200_without_drift_reaches_a_level() -> None:
    for samples in SAMPLES:
        for bins in BINS:
            assert simulate(samples, bins).calibrated <= 1


def test_the_fixed_threshold_alone_would_raise_far_more() -> None:
    assert simulate(200, 50).fixed > 150


def test_the_documentation_has_the_table_that_the_simulation_prints() -> None:
    assert table() in DOCUMENT.read_text()
