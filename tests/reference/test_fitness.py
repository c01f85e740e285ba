"""What is said of a profile that a sidecar could not make use of."""

from pathlib import Path

import numpy as np
import pytest

from sidecar.cli import main
from sidecar.reference import build
from sidecar.reference.fitness import shortcomings

RNG = np.random.default_rng(1)


def test_a_usual_profile_has_none() -> None:
    assert list(shortcomings(build({"x": RNG.random(5000), "y": ["a", "b"] * 2500}))) == []


@pytest.mark.parametrize("rows", [1, 2, 50])
def test_few_rows_cannot_tell_drift_from_chance(rows: int) -> None:
    [told] = shortcomings(build({"x": np.arange(rows) / 7}))
    assert told.startswith(
        f"{rows} rows are too few to tell critical drift from chance in 1 of 1 features: of 'x' a PSI"
    )


def test_so_do_rows_that_come_in_runs() -> None:
    profile = build({"runs": np.repeat(RNG.random(20), 100), "x": RNG.random(2000)}, window_rows=200)
    [told] = shortcomings(profile)
    assert "in 1 of 2 features: of 'runs' a PSI below" in told


def test_the_rows_that_are_said_to_be_enough_are() -> None:
    [told] = shortcomings(build({"x": RNG.random(50)}))
    rows = int(told.rsplit("with ", 1)[1].split()[0])
    assert list(shortcomings(build({"x": RNG.random(rows)}, window_rows=rows))) == []
    assert list(shortcomings(build({"x": RNG.random(rows // 2)}, window_rows=rows))) != []


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({f"x{i}": RNG.random(500) for i in range(1001)}, "set limits.features to 1001"),
        ({"x": [f"{i % 250}" for i in range(5000)]}, "set limits.categories to 250"),
        ({"x": ["a" * 1025, "b"] * 2000}, "set limits.string_length to 1025"),
    ],
)
def test_what_is_beyond_the_limits_of_a_sidecar_is_named(columns: dict[str, list[str]], told: str) -> None:
    found = list(shortcomings(build(columns, categories=300)))
    assert [sentence for sentence in found if told in sentence]


def test_reference_build_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.csv").write_text("x\n1\n2\n")
    assert main(["reference", "build", str(tmp_path / "x.csv"), "-o", str(tmp_path / "x.profile.json")]) == 0
    assert "model-sidecar: 2 rows are too few to tell critical drift from chance" in capsys.readouterr().err
