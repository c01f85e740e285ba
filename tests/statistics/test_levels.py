import numpy as np
import pytest

from sidecar.config import Thresholds
from sidecar.statistics.levels import LEVELS, level_indices, level_name

PLAIN = Thresholds()


def _level(psi: float, *, threshold: float = 0.0, samples: int = 1000, thresholds: Thresholds = PLAIN) -> str:
    found = level_indices(
        np.array([[psi]]), np.array([[threshold]]), np.array([[samples]]), [thresholds], min_samples=200
    )
    return level_name(int(found[0, 0]))


@pytest.mark.parametrize(
    ("psi", "level"),
    [
        (0.0, "none"),
        (0.0999999, "none"),
        (0.1, "moderate"),
        (0.1999999, "moderate"),
        (0.2, "significant"),
        (0.2499999, "significant"),
        (0.25, "critical"),
        (10.0, "critical"),
    ],
)
def test_a_level_begins_at_its_threshold(psi: float, level: str) -> None:
    assert _level(psi) == level


def test_too_few_samples_are_unknown_whatever_the_psi() -> None:
    assert _level(0.0, samples=199) == "unknown"
    assert _level(9.0, samples=0) == "unknown"
    assert _level(9.0, samples=200) == "critical"


def test_what_is_not_significant_is_no_drift() -> None:
    assert _level(0.5, threshold=0.6) == "none"
    assert _level(0.6, threshold=0.6) == "none"
    assert _level(0.6000001, threshold=0.6) == "critical"
    assert _level(0.05, threshold=0.01) == "none"


def test_each_feature_has_its_own_thresholds() -> None:
    strict = Thresholds(moderate=0.01, significant=0.02, critical=0.03)
    psi = np.array([[0.15, 0.15], [0.02, 0.02]])
    found = level_indices(psi, np.zeros((2, 2)), np.full((2, 2), 500), [PLAIN, strict], min_samples=200)
    assert [[level_name(i) for i in row] for row in found.tolist()] == [
        ["moderate", "critical"],
        ["none", "significant"],
    ]


def test_equal_thresholds_skip_levels() -> None:
    assert _level(0.1, thresholds=Thresholds(moderate=0.1, significant=0.1, critical=0.1)) == "critical"


def test_levels_rise() -> None:
    assert [level_name(i) for i in range(-1, len(LEVELS))] == ["unknown", "none", "moderate", "significant", "critical"]
