from collections import Counter
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.reference import CategoricalProfile, FeatureProfile, NumericProfile, ProfileError, build
from sidecar.statistics.bins import category_text


def only(values: Any, **options: Any) -> FeatureProfile:
    (feature,) = build({"x": values}, **options).features
    return feature


NUMBERS_AND_A_GAP: dict[str, Any] = {
    "list": [1, 2, None],
    "float array": np.array([1, 2, np.nan]),
    "float16 array": np.array([1, 2, np.nan], dtype=np.float16),
    "objects of NumPy": np.array([np.int64(1), np.float32(2), None], dtype=object),
    "masked array": np.ma.MaskedArray([1, 2, 9], mask=[False, False, True]),
    "decimals": [Decimal(1), Decimal(2), Decimal("NaN")],
    "nullable integers": pd.Series([1, 2, None], dtype="Int64"),
    "nullable floats": pd.Series([1, 2, None], dtype="Float64"),
    "integers of Arrow": pd.Series([1, 2, None], dtype="int64[pyarrow]"),
    "categorical of numbers": pd.Series([1, 2, None], dtype="category"),
    "objects of pandas": pd.Series([1, 2, pd.NA], dtype=object),
    "sparse": pd.Series(pd.arrays.SparseArray([1, 2, np.nan])),
}


@pytest.mark.parametrize("values", NUMBERS_AND_A_GAP.values(), ids=NUMBERS_AND_A_GAP.keys())
def test_numbers_with_a_gap_are_numeric_wherever_they_come_from(values: Any) -> None:
    feature = only(values)
    assert isinstance(feature, NumericProfile)
    assert feature.edges == (0.5, 1.5, 2.5)
    assert feature.bin_counts() == (0, 1, 1, 0, 1)


@pytest.mark.parametrize("values", NUMBERS_AND_A_GAP.values(), ids=NUMBERS_AND_A_GAP.keys())
def test_numbers_named_as_categorical_become_their_shortest_text(values: Any) -> None:
    feature = only(values, categorical=["x"])
    assert isinstance(feature, CategoricalProfile)
    assert feature.categories == ("1", "2")
    assert feature.bin_counts() == (1, 1, 0, 1)


@pytest.mark.parametrize(
    "values",
    [
        [True, None, False],
        np.array([np.bool_(True), None, np.bool_(False)], dtype=object),
        pd.Series([True, None, False], dtype="boolean"),
        pd.Series([True, None, False], dtype=object),
    ],
    ids=["list", "NumPy", "nullable", "objects"],
)
def test_booleans_are_the_categories_true_and_false(values: Any) -> None:
    feature = only(values)
    assert isinstance(feature, CategoricalProfile)
    assert (feature.categories, feature.bin_counts()) == (("false", "true"), (1, 1, 0, 1))


@pytest.mark.parametrize("dtype", ["category", "string", "string[pyarrow]", object])
def test_text_with_a_gap_is_categorical(dtype: Any) -> None:
    feature = only(pd.Series(["b", "a", "b", None], dtype=dtype))
    assert isinstance(feature, CategoricalProfile)
    assert (feature.categories, feature.bin_counts()) == (("b", "a"), (2, 1, 0, 1))


@pytest.mark.parametrize("values", [[None, None], [np.nan, np.nan], pd.Series([pd.NA, None])])
def test_a_column_of_nothing_takes_whatever_comes(values: Any) -> None:
    feature = only(values)
    assert isinstance(feature, CategoricalProfile)
    assert feature.bin_counts() == (0, 2)


def test_a_constant_has_a_bin_of_its_own_between_empty_ones() -> None:
    feature = only([7.0] * 5)
    assert feature.bin_counts() == (0, 5, 0, 0)


def test_infinities_are_missing() -> None:
    feature = only([np.inf, 1.0, 2.0, -np.inf])
    assert isinstance(feature, NumericProfile)
    assert feature.bin_counts() == (0, 1, 1, 0, 2)
    assert (feature.min, feature.max, feature.mean) == (1, 2, 1.5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "a", 2], "column 'x' mixes 2 numbers with 1 other values such as 'a'"),
        ([b"a", b"b"], "column 'x' holds a bytes: b'a'"),
        ([1j], "column 'x' holds a complex: 1j"),
        ([{"a": 1}], "column 'x' holds a dict"),
        ([[1], [2]], "column 'x' has 2 dimensions, not 1"),
        ("text", "column 'x' has 0 dimensions, not 1"),
        ([10**400, 1], "beyond the range of a double"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "column 'x' holds times"),
        (pd.Series(pd.to_datetime(["2020-01-01"])), "column 'x' holds a Timestamp"),
        ([], "there are no rows"),
    ],
)
def test_what_has_no_bins_is_refused_with_the_column(values: Any, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        only(values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": ["y"]}, "no column named 'y'; there are: x, p"),
        ({"features": ["x", "x"]}, "'x' is there twice"),
        ({"features": []}, "no columns"),
        ({"categorical": ["y"]}, "no column named 'y'"),
        ({"prediction": "y"}, "no column named 'y'"),
        ({"probability": "x"}, r"'probability': 3 is not in \[0, 1\]"),
        ({"probability": "p", "categorical": ["p"]}, "a probability is numeric"),
        ({"bins": 0}, "bins is 0, not at least 1"),
        ({"categories": -1}, "categories is -1, not at least 0"),
        ({"window_rows": 0}, "window_rows is 0, not at least 1"),
    ],
)
def test_options_that_fit_no_column_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        build({"x": [3, 2, 1], "p": [0.1, 0.2, 1]}, **options)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ProfileError, match="1 and 2 rows"):
        build({"a": [1], "b": [1, 2]})


def test_a_frame_with_two_columns_of_one_name_is_refused() -> None:
    with pytest.raises(ProfileError, match="two columns are named 'a'"):
        build(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_labels_of_a_frame_that_are_no_text_are_written_as_text() -> None:
    assert [f.name for f in build(pd.DataFrame({0: [1, 2], "b": [1, 2]})).features] == ["0", "b"]


def test_a_frame_that_is_iterated_by_its_columns_will_do() -> None:
    class Frame:  # as polars has it: `list(frame)` gives the columns, not their names
        columns = ("a",)

        def __iter__(self) -> Any:
            return iter([[1, 2]])

        def __getitem__(self, name: str) -> list[int]:
            return {"a": [1, 2]}[name]

    assert build(Frame()).rows == 2  # type: ignore[arg-type]  # a data frame is no Mapping


def test_prediction_and_probability_are_outputs_and_no_features() -> None:
    profile = build({"x": [1, 2], "label": ["a", "b"], "p": [0.5, 0.1]}, prediction="label", probability="p")
    assert [(f.role, f.name) for f in profile.features] == [
        ("input", "x"),
        ("output", "prediction"),
        ("output", "probability"),
    ]


@given(st.lists(st.none() | st.text() | st.booleans(), min_size=1), st.integers(1, 5))
def test_counts_of_categories_equal_a_plain_count(values: list[str | bool | None], most: int) -> None:
    feature = only(values, categories=most)
    assert isinstance(feature, CategoricalProfile)
    expected = Counter(category_text(v) for v in values if v is not None)
    kept = sorted(expected, key=lambda name: (-expected[name], name))[:most]
    assert feature.categories == tuple(kept)
    assert feature.counts == tuple(expected[name] for name in kept)
    assert feature.other == expected.total() - sum(feature.counts)
    assert feature.missing == values.count(None)


@example([-1.7976931348623157e308], 2)
@example([1.7976931348623157e308], 2)
@example([-1.7976931348623157e308, 1.7976931348623157e308], 2)
@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.integers(2, 20))
def test_every_number_is_in_one_bin(values: list[float | None], bins: int) -> None:
    feature = only(values, bins=bins)
    assert sum(feature.bin_counts()) == len(values)
    assert feature.missing == values.count(None)
    if isinstance(feature, NumericProfile):
        assert len(feature.counts) <= bins + 2
        edges = [-np.inf, *feature.edges, np.inf]
        for (low, high), count in zip(pairwise(edges), feature.counts, strict=True):
            inside = [v for v in values if v is not None and (low < v <= high or v == low == -np.inf)]
            assert count == len(inside)


def test_rows_that_come_in_runs_have_a_design_effect() -> None:
    rng = np.random.default_rng(1)
    independent = rng.normal(size=20_000)
    in_runs = np.repeat(rng.normal(size=200), 100)
    profile = build({"independent": independent, "in_runs": in_runs}, window_rows=500)
    effects = {f.name: f.design_effect for f in profile.features}
    assert effects["independent"] < 1.5
    assert 50 < effects["in_runs"] < 200  # a run of 100 rows tells as much as one
