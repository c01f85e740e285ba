import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.reference import CategoricalProfile, NumericProfile, ProfileError, build
from sidecar.reference.counting.blocks import Blocks
from sidecar.reference.counting.counts import FeatureSpec, Wanted
from sidecar.reference.counting.design_effects import design_effects
from sidecar.reference.counting.rows import Counting
from sidecar.reference.profile import dump, parse
from sidecar.statistics import drift
from sidecar.statistics.bins import CategoricalBins, NumericBins
from tests import oracle

RNG = np.random.default_rng(7)


def _numeric(profile: Any, name: str) -> NumericProfile:
    found = next(feature for feature in profile.features if feature.name == name)
    assert isinstance(found, NumericProfile)
    return found


def _categorical(profile: Any, name: str) -> CategoricalProfile:
    found = next(feature for feature in profile.features if feature.name == name)
    assert isinstance(found, CategoricalProfile)
    return found


def test_numbers_get_quantile_bins_and_plain_statistics() -> None:
    values = RNG.normal(5, 2, 1000)
    feature = _numeric(build({"a": values}), "a")
    assert feature.counts == (100,) * 10
    assert feature.missing == 0
    assert (feature.min, feature.max) == (values.min(), values.max())
    assert feature.mean == pytest.approx(values.mean())
    assert feature.std == pytest.approx(values.std())


def test_text_gets_its_commonest_categories_and_other() -> None:
    feature = _categorical(build({"a": ["x"] * 5 + ["y"] * 3 + ["z", None]}, categories=2), "a")
    assert (feature.categories, feature.counts, feature.other, feature.missing) == (("x", "y"), (5, 3), 1, 1)


def test_none_nan_and_infinities_are_missing() -> None:
    profile = build({"a": [1.0, None, math.nan, -math.inf, math.inf], "b": ["x", None, math.nan, "x", "x"]})
    assert _numeric(profile, "a").missing == 4
    assert _numeric(profile, "a").counts == (0, 1, 0)
    assert _numeric(profile, "a").max == 1.0
    assert _categorical(profile, "b").missing == 2


def test_booleans_are_categories() -> None:
    for values in ([True, False, True], np.array([True, False, True]), [True, None, True, False][:3]):
        assert "true" in _categorical(build({"a": values}), "a").categories


def test_numbers_named_categorical_are_categories() -> None:
    feature = _categorical(build({"a": [1, 1.0, 2.5], "b": [1, 2, 3]}, categorical=["a"]), "a")
    assert feature.categories == ("1", "2.5")


def test_outputs_are_renamed_and_no_inputs() -> None:
    data = {"x": [1, 2], "label": ["a", "b"], "score": [0.1, 0.9]}
    profile = build(data, prediction="label", probability="score")
    assert [(f.role, f.name) for f in profile.features] == [
        ("input", "x"),
        ("output", "prediction"),
        ("output", "probability"),
    ]


def test_a_column_without_values_takes_whatever_comes() -> None:
    profile = build({"a": [None, None], "p": [None, None]}, probability="p")
    assert _categorical(profile, "a").categories == ()
    assert _numeric(profile, "probability").edges == ()


def test_a_data_frame_and_a_mapping_build_the_same() -> None:
    data: dict[str, list[Any]] = {"a": [1.5, None, 3.0], "b": ["x", None, "y"], "c": [True, False, True]}
    made = datetime(2026, 1, 1, tzinfo=UTC)
    assert build(pd.DataFrame(data), created=made) == build(data, created=made)


def test_what_is_said_of_the_model_is_kept() -> None:
    made = datetime(2026, 1, 1, 12, 0, 0, 999, tzinfo=UTC)
    profile = build({"a": [1, 2]}, model="m", model_version="3", source="s", created=made, window_rows=1)
    assert (profile.model, profile.model_version, profile.source, profile.rows) == ("m", "3", "s", 2)
    assert profile.created == made.replace(microsecond=0)


ERRORS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {}, "no columns to build from"),
    ({"a": []}, {}, "there are no rows to build from"),
    ({"a": [1]}, {"features": []}, "no columns to build from"),
    ({"a": [1], "b": [2]}, {"features": ["c"]}, "no column named 'c'; there are: a, b"),
    ({"a": [1]}, {"prediction": "p"}, "no column named 'p'; there are: a"),
    ({"a": [1]}, {"categorical": ["z"]}, "no column named 'z'; there are: a"),
    ({"a": [1], "b": [1, 2]}, {}, "columns differ in length: 1 and 2 rows"),
    (
        {"a": [1, "x", 2.5]},
        {},
        "column 'a' mixes 2 numbers with 1 other values such as 'x': clean it, or name it as categorical",
    ),
    (
        {"a": np.array(["2026-01-01"], dtype="datetime64[D]")},
        {},
        "column 'a' holds times, which have no bins: leave it out of the features",
    ),
    ({"a": np.zeros((2, 2))}, {}, "column 'a' has 2 dimensions, not 1"),
    ({"a": [[1], [1, 2]]}, {}, "column 'a' holds a list: [1]"),
    ({"a": 5}, {}, "column 'a' has 0 dimensions, not 1"),
    ({"a": [10**400, 1]}, {}, "column 'a' holds a number beyond the range of a double"),
    ({"a": [1]}, {"features": ["a", "a"]}, "input 'a' is there twice"),
    ({"a": ["x"]}, {"probability": "a"}, "output 'probability': a probability is numeric"),
    ({"": [1]}, {}, "a feature has no name"),
    ({"a": [1]}, {"bins": 0}, "bins is 0, not at least 1"),
    ({"a": ["x"]}, {"categories": -1}, "categories is -1, not at least 0"),
]


@pytest.mark.parametrize(("data", "options", "message"), ERRORS, ids=[message for *_, message in ERRORS])
def test_data_that_makes_no_profile_is_refused_in_one_sentence(
    data: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProfileError) as refused:
        build(data, **options)
    assert str(refused.value) == message


def test_numbers_in_object_columns_are_numbers() -> None:
    column = np.array([np.int64(1), 2.5, np.float32(3), None], dtype=object)
    assert _numeric(build({"a": column}), "a").missing == 1


@given(
    st.lists(st.none() | st.floats(), min_size=1, max_size=40), st.lists(st.none() | st.text(max_size=3), max_size=40)
)
def test_any_columns_build_a_profile_that_is_read_as_written(numbers: list[Any], texts: list[Any]) -> None:
    texts = (texts * 40 + [None] * 40)[: len(numbers)]
    profile = build({"a": numbers, "b": texts})
    assert parse(dump(profile), source="p.json") == profile
    for feature in profile.features:
        assert sum(feature.bin_counts()) == len(numbers)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.lists(st.integers(1, 20), max_size=10))
def test_counting_in_batches_equals_counting_at_once(values: list[float], sizes: list[int]) -> None:
    specs = [FeatureSpec(Wanted("a", "a", "input"), NumericBins([-10.0, 0.0, 10.0]))]
    whole, parts = Counting(specs, window_rows=7), Counting(specs, window_rows=7)
    column = np.array(values)
    whole.add({"a": column})
    bounds = np.minimum(np.cumsum([0, *sizes]), len(values))
    for first, last in zip(bounds, [*bounds[1:], len(values)], strict=True):
        if first < last:
            parts.add({"a": column[first:last]})
    made = datetime(2026, 1, 1, tzinfo=UTC)
    one, other = (c.profile(model="", model_version="", source="", created=made) for c in (whole, parts))
    a, b = _numeric(one, "a"), _numeric(other, "a")
    assert (a.counts, a.design_effect, a.min, a.max) == (b.counts, b.design_effect, b.min, b.max)
    assert a.mean == pytest.approx(b.mean, abs=1e-6)
    assert a.std == pytest.approx(b.std, abs=1e-6)


def test_memory_for_blocks_is_bounded() -> None:
    counting = Counting([FeatureSpec(Wanted("a", "a", "input"), CategoricalBins(["x"]))], window_rows=1)
    counting.add({"a": ["x"] * 20_000})
    assert isinstance(counting._blocks, Blocks)
    assert len(counting._blocks) <= 4096
    assert counting.profile(model="", model_version="", source="").rows == 20_000


def _slow_design_effect(indices: list[int], bins: int, block: int) -> float:
    """Mean PSI of whole blocks against all rows, over what independent rows would give, a bin at a time."""
    rows = len(indices)
    counts = [indices.count(i) for i in range(bins)]
    shares = oracle.reference_shares(counts)
    blocks = [indices[first : first + block] for first in range(0, rows - block + 1, block)]
    psis = [oracle.psi(oracle.live_shares([b.count(i) for i in range(bins)], shares), shares) for b in blocks]
    occupied = sum(count > 0 for count in counts)
    expected = (occupied - 1) * (1 / block - 1 / rows)
    return max(1.0, sum(psis) / len(psis) / expected)


def _built_effect(values: Any, block: int) -> float:
    feature = build({"a": values}, window_rows=block).features[0]
    return feature.design_effect


def test_independent_rows_have_a_design_effect_of_about_one() -> None:
    values = RNG.integers(0, 5, 20_000)
    assert 1.0 <= _built_effect(values, 500) < 1.3


def test_rows_that_come_in_runs_have_the_design_effect_of_their_length() -> None:
    run, occupied, bins = 20, 5, 8  # three bins stay empty
    values = np.repeat(RNG.integers(0, occupied, 4000), run)
    assert len(build({"a": values}).features[0].bin_counts()) == bins
    assert _built_effect(values, 2000) == pytest.approx(run, rel=0.15)


@pytest.mark.parametrize("run", [1, 7, 50])
def test_design_effect_equals_a_slow_oracle(run: int) -> None:
    indices = np.repeat(RNG.integers(0, 4, 3000 // run), run)[:2800]
    blocks = np.array([np.bincount(b, minlength=4) for b in indices[: indices.size // 200 * 200].reshape(-1, 200)])
    counts = np.bincount(indices, minlength=4)
    [found] = design_effects(blocks, counts, np.array([0]), window_rows=200)
    assert found == pytest.approx(_slow_design_effect(indices.tolist(), 4, 200))


def test_design_effects_of_many_features_are_those_of_each() -> None:
    a, b = RNG.integers(0, 4, 2000), np.repeat(RNG.integers(0, 3, 100), 20)
    together = build({"a": a.astype(str), "b": b.astype(str)}, window_rows=100).features
    alone = [build({"a": column.astype(str)}, window_rows=100).features[0] for column in (a, b)]
    assert [f.design_effect for f in together] == [f.design_effect for f in alone]


def test_too_few_blocks_correct_nothing() -> None:
    assert _built_effect([1.0], 1000) == 1.0
    counts = np.array([5, 5])
    assert design_effects(counts[None], counts, np.array([0]), window_rows=10).tolist() == [1.0]


def test_windows_of_independent_rows_seldom_pass_the_threshold() -> None:
    values = RNG.normal(size=50_000)
    profile = build({"a": values[:20_000]}, window_rows=500)
    feature = _numeric(profile, "a")
    starts, reference = np.array([0]), np.array(feature.bin_counts())
    shares = drift.reference_shares(reference, starts)
    windows = values[20_000:].reshape(-1, 500)
    live = np.array([np.bincount(feature.bins().index(w), minlength=reference.size) for w in windows])
    psi = drift.psi(drift.live_shares(live, shares, starts), shares, starts)
    factor = drift.significance_factor(reference.size, alpha=0.01, design_effect=feature.design_effect)
    assert (psi > factor * (1 / 500 + 1 / 20_000)).mean() <= 0.05
