"""Bins of few rows: the threshold holds where they are, and costs nothing where there are none."""

import json

import numpy as np
import pytest
from msgspec.structs import replace

from bench.trust.cells import ALPHA, CASES, share_beyond
from sidecar.reference import build
from sidecar.reference.counting.thin import thin_effect, thin_effects
from sidecar.reference.merge import merge
from sidecar.reference.profile import CategoricalProfile, ProfileError, dump, parse
from sidecar.statistics import drift

RNG = np.random.default_rng(12)


@pytest.mark.parametrize(
    ("name", "rows", "samples"),
    [
        ("Zipf(1.25), 160 categories", 1000, 1000),
        ("Zipf(1.25), 160 categories", 1000, 200),
        ("six categories of 0.1 %", 200, 1000),
        ("small counts", 1000, 1000),
        ("50 bins", 200, 10_000),
        ("2 bins", 10_000, 100_000),
    ],
)
def test_windows_without_drift_are_beyond_the_threshold_no_more_than_twice_as_often_as_is_said(
    name: str, rows: int, samples: int
) -> None:
    assert share_beyond(CASES[name], rows, samples, references=15, windows=400) <= 2 * ALPHA


def test_bins_that_are_full_have_no_effect() -> None:
    assert thin_effect((1000,) * 10) == 1.0
    assert thin_effect((5000, 5000, 0)) == 1.0


def test_bins_of_few_rows_have_one_whatever_their_order() -> None:
    effects = thin_effects(np.array([9700, 300, 300, 9700, 500, 500]), np.array([0, 2, 4]))
    assert effects[0] == effects[1] > 1.2
    assert effects[2] == 1.0


def test_the_hours_of_a_season_have_thinner_bins_than_the_whole() -> None:
    counts = (5000, 4000, 700, 250, 50)
    assert thin_effect(counts, 100.0) != thin_effect(counts)


def test_the_effect_is_in_the_profile_and_in_the_factor_unless_rows_that_depend_vary_more() -> None:
    profile = build({"x": RNG.permutation(["a"] * 970 + ["b"] * 30).tolist()}, window_rows=1000)
    [feature] = profile.features
    assert feature.thin_effect == pytest.approx(thin_effect((970, 30, 0, 0)), abs=1e-4)
    usual = drift.chi2_isf(0.01, 3)
    independent = replace(feature, design_effect=1.0)
    assert independent.significance_factor(0.01) == pytest.approx(usual * feature.thin_effect)
    assert drift.significance_factor(4, alpha=0.01, design_effect=9.0, thin_effect=1.5) == pytest.approx(usual * 9)


def test_profiles_without_the_effect_are_read_and_effects_below_one_are_not() -> None:
    profile = build({"x": ["a"] * 970 + ["b"] * 30})
    document = json.loads(dump(profile))
    del document["features"][0]["thin_effect"]
    assert parse(json.dumps(document).encode(), source="x").features[0].thin_effect == 1.0
    document["features"][0]["thin_effect"] = 0.5
    with pytest.raises(ProfileError, match=r"input 'x': thin_effect is 0\.5, not a number of at least 1"):
        parse(json.dumps(document).encode(), source="x")


def test_parts_that_are_merged_have_the_effect_of_all_rows() -> None:
    rows = ["a"] * 485 + ["b"] * 15
    parts = [build({"x": RNG.permutation(rows).tolist()}, source=name) for name in "pq"]
    parts[1] = build({"x": [*rows, "a"]}, source="q")
    merged = merge(parts)
    assert merged.features[0].thin_effect == pytest.approx(thin_effect((971, 30, 0, 0)), abs=1e-4)


def test_categories_of_few_rows_are_other() -> None:
    [feature] = build({"x": ["a"] * 900 + ["b"] * 10 + ["c"] * 9}).features
    assert isinstance(feature, CategoricalProfile)
    assert (feature.categories, feature.other) == (("a", "b"), 9)
