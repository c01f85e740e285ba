import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.statistics import bins as bins_module
from sidecar.statistics.bins import (
    CategoricalBins,
    Category,
    Coded,
    Indices,
    NumericBins,
    NumericBlocks,
    category_text,
    edges_around,
    quantile_edges,
    top_categories,
)

LARGEST = float(np.finfo(np.float64).max)
SMALLEST = 5e-324

finite = st.floats(allow_nan=False, allow_infinity=False)
rising = st.lists(finite, max_size=30, unique_by=lambda x: x + 0.0).map(sorted)
awkward = st.sampled_from(
    [0.0, -0.0, 1.0, SMALLEST, -SMALLEST, 1e-310, LARGEST, -LARGEST, 1e300, 2.0**53, 0.1 + 0.2, 0.3]
)


def _array(values: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


@given(rising, st.lists(st.floats() | awkward, max_size=50))
def test_each_value_is_in_the_one_bin_whose_bounds_enclose_it(edges: list[float], values: list[float]) -> None:
    bins = NumericBins(edges)
    bounds = [-math.inf, *edges, math.inf]
    for value, index in zip(values, bins.index(_array(values)).tolist(), strict=True):
        if math.isnan(value):
            assert index == bins.size - 1
        elif value == -math.inf:
            assert index == 0
        else:
            enclosing = [i for i in range(len(edges) + 1) if bounds[i] < value <= bounds[i + 1]]
            assert enclosing == [index]


@given(rising)
def test_edges_belong_to_the_bin_below_and_infinities_to_the_outer_bins(edges: list[float]) -> None:
    bins = NumericBins(edges)
    assert bins.index(_array(edges)).tolist() == list(range(len(edges)))
    assert bins.index(_array([-math.inf, math.inf, math.nan])).tolist() == [0, len(edges), len(edges) + 1]


def starts_of(features: list[NumericBins]) -> Indices:
    """Return where the first bin of each feature lies, as a column."""
    return np.cumsum([0, *(feature.size for feature in features[:-1])])[:, None]


@pytest.mark.parametrize("compared", [True, False])
@given(data=st.data())
def test_many_features_have_the_bins_of_each_alone(data: st.DataObject, *, compared: bool) -> None:
    features = [NumericBins(edges) for edges in data.draw(st.lists(rising, max_size=5))]
    edges = [edge for feature in features for edge in feature.edges.tolist()]
    value = st.floats() | awkward | (st.sampled_from(edges) if edges else st.nothing())
    rows = data.draw(st.integers(min_value=0, max_value=7))
    values = _array(data.draw(st.lists(value, min_size=len(features) * rows, max_size=len(features) * rows)))
    values = values.reshape(len(features), rows)
    found = np.full(values.shape, -1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bins_module, "_comparing_is_faster", lambda shape, edges: compared)
        patched.setattr(bins_module, "_BLOCK_VALUES", data.draw(st.integers(min_value=1, max_value=20)))
        for at, start, indices in NumericBlocks(features).index(values):
            found[at] = start + indices - starts_of(features)[at]
    assert found.tolist() == [feature.index(row).tolist() for feature, row in zip(features, values, strict=True)]


@pytest.mark.parametrize("edges", [1, 20, 60, 61, 300])
def test_many_features_of_any_number_of_bins_have_the_bins_of_each_alone(edges: int) -> None:
    features = [NumericBins(np.arange(float(size))) for size in (edges - 1, 1, 0)]
    values = np.random.default_rng(1).normal(edges / 2, edges, size=(3, 5000))
    values[:, ::7] = np.nan
    values[:, ::11] = edges / 2
    for at, start, indices in NumericBlocks(features).index(values):
        rows = start + indices - starts_of(features)[at]
        for row, feature, column in zip(rows, features[at], values[at], strict=True):
            assert (row == feature.index(column)).all()


@given(rising)
def test_numeric_bins_have_distinct_names_and_ranges(edges: list[float]) -> None:
    bins = NumericBins(edges)
    assert len(set(bins.names)) == len(bins.names) == bins.size
    assert len(set(bins.ranges)) == len(bins.ranges) == bins.size


def test_numeric_names_and_ranges_read_well() -> None:
    bins = NumericBins([12.5, 30.0])
    assert bins.names == ("00", "01", "02", "missing")
    assert bins.ranges == ("(-Inf, 12.5]", "(12.5, 30]", "(30, +Inf)", "missing")


def test_bins_without_edges_hold_everything_but_the_missing() -> None:
    bins = NumericBins([])
    assert bins.size == 2
    assert bins.index(_array([-math.inf, 0.0, math.inf, math.nan])).tolist() == [0, 0, 0, 1]
    assert bins.ranges == ("(-Inf, +Inf)", "missing")


def test_ranges_show_as_many_digits_as_tell_edges_apart() -> None:
    bins = NumericBins([1000000.0, 1000000.5, 1000001.0])
    assert bins.ranges == (
        *("(-Inf, 1000000]", "(1000000, 1000000.5]", "(1000000.5, 1000001]", "(1000001, +Inf)"),
        "missing",
    )
    assert NumericBins([0.3, 0.1 + 0.2]).ranges[1] == "(0.3, 0.30000000000000004]"


def test_more_than_a_hundred_bins_get_names_of_one_width() -> None:
    names = NumericBins(list(range(120))).names
    assert names[0] == "000"
    assert names[-2] == "120"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("visa", "visa"),
        ("", ""),
        ("True", "True"),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (-2.0, "-2"),
        (1e15, "1000000000000000"),
        (10**20, "100000000000000000000"),
        (0.1 + 0.2, "0.30000000000000004"),
    ],
)
def test_category_is_the_shortest_text_of_a_value(value: Any, text: str) -> None:
    assert category_text(value) == text


@given(st.integers(-(10**15), 10**15))
def test_whole_numbers_are_one_category_however_written(number: int) -> None:
    assert category_text(number) == category_text(float(number))


def test_number_beyond_a_double_is_a_category() -> None:
    assert category_text(10**400) == "1" + "0" * 400


def test_categories_take_booleans_numbers_and_their_texts_alike() -> None:
    bins = CategoricalBins(["1", "true", "0.5"])
    values: list[Category] = [
        True,
        1,
        1.0,
        "1",
        "true",
        False,
        0,
        "True",
        0.5,
        "0.5",
        None,
        math.nan,
        "x",
        math.inf,
    ]
    other, missing = 3, 4
    expected = [1, 0, 0, 0, 1, other, other, other, 2, 2, missing, missing, other, other]
    assert bins.index(values).tolist() == expected


@given(
    st.lists(st.text(max_size=3), unique=True, max_size=10),
    st.lists(st.none() | st.text(max_size=3) | st.booleans()),
)
def test_each_category_is_in_one_bin(categories: list[str], values: list[str | bool | None]) -> None:
    bins = CategoricalBins(categories)
    found = bins.index(iter(values)).tolist()
    for value, index in zip(values, found, strict=True):
        if value is None:
            assert index == bins.size - 1
        elif category_text(value) in categories:
            assert categories[index] == category_text(value)
        else:
            assert index == len(categories)


def test_categorical_names_and_ranges_are_right() -> None:
    bins = CategoricalBins(["visa", "master"])
    assert bins.size == 4
    assert bins.names == ("00", "01", "other", "missing")
    assert bins.ranges == ("visa", "master", "other", "missing")


def test_a_category_called_other_has_a_name_of_its_own() -> None:
    bins = CategoricalBins(["other", "missing"])
    assert len(set(bins.names)) == bins.size
    assert bins.index(["other", "missing", "new", None]).tolist() == [0, 1, 2, 3]


def test_bins_without_categories_put_everything_in_other() -> None:
    bins = CategoricalBins([])
    assert bins.names == ("other", "missing")
    assert bins.index(["a", 1, None]).tolist() == [0, 0, 1]


def test_no_values_have_no_bins() -> None:
    assert CategoricalBins(["a"]).index([]).tolist() == []
    assert NumericBins([1.0]).index(_array([])).tolist() == []


@given(st.lists(finite | awkward | st.sampled_from([math.inf, -math.inf]), max_size=60), st.integers(2, 20))
@example([-LARGEST, LARGEST], 10)
@example([-LARGEST, LARGEST] * 30 + [float(i) for i in range(30)], 10)
@example([0.0, SMALLEST], 10)
@example([LARGEST], 10)
@example([-LARGEST], 10)
def test_quantile_edges_are_finite_and_strictly_increase(values: list[float], bins: int) -> None:
    edges = quantile_edges(_array(values), bins)
    assert np.isfinite(edges).all()
    assert (edges[1:] > edges[:-1]).all()
    assert edges.size <= bins + 1


@given(st.lists(finite | awkward, min_size=1, max_size=10, unique_by=lambda x: x + 0.0))
@example([-LARGEST, LARGEST])
@example([0.0, SMALLEST, 2 * SMALLEST])
@example([1.0, math.nextafter(1.0, 2)])
def test_few_distinct_values_get_a_bin_each(values: list[float]) -> None:
    bins = NumericBins(quantile_edges(_array(values * 3), 10))
    assert len(set(bins.index(_array(values)).tolist())) == len(values)


@given(st.floats(-1e15, 1e15))
def test_a_constant_that_changes_is_seen(constant: float) -> None:
    bins = NumericBins(quantile_edges(_array([constant] * 20), 10))
    step = max(1.0, abs(constant))
    below, same, above = bins.index(_array([constant - step, constant, constant + step])).tolist()
    assert below < same < above


def test_distinct_values_lie_between_empty_bins() -> None:
    bins = NumericBins(quantile_edges(_array([0.0, 1.0, 1.0, 2.0]), 10))
    assert bins.index(_array([-1.0, 0.0, 1.0, 2.0, 3.0])).tolist() == [0, 1, 2, 3, 4]


def test_quantile_bins_hold_equal_shares() -> None:
    values = np.random.default_rng(1).normal(size=10_000)
    bins = NumericBins(quantile_edges(values, 10))
    counts = np.bincount(bins.index(values), minlength=bins.size)
    assert counts.tolist() == [1000] * 10 + [0]


def test_ties_collapse() -> None:
    values = np.concatenate([np.zeros(1000), np.arange(1.0, 21.0)])
    edges = quantile_edges(values, 10)
    assert edges.tolist() == [0.0]


@pytest.mark.parametrize("values", [[], [math.inf], [-math.inf, math.inf]])
def test_no_finite_values_make_no_edges(values: list[float]) -> None:
    assert quantile_edges(_array(values), 10).tolist() == []


@pytest.mark.parametrize(
    ("rows", "apart"),
    [
        ([500, 300, 200], [0.5, 1.5]),
        ([900, 60, 8, 7, 30], [0.5, 1.5, 3.5]),
        ([900, 90, 4, 3, 3], [0.5, 1.5]),
        ([990, 4, 300], [0.5, 1.5]),
        ([3, 4, 5, 900], [2.5]),
        ([3, 2, 1], [0.5, 1.5]),
    ],
)
def test_values_of_few_rows_share_a_bin_with_others_beside_them_that_are_of_few(
    rows: list[int], apart: list[float]
) -> None:
    values = np.arange(len(rows), dtype=float)
    edges = edges_around(values, np.array(rows)).tolist()
    assert edges == [-0.5, *apart, len(rows) - 0.5] == quantile_edges(np.repeat(values, rows), 10).tolist()


def test_categories_of_few_rows_are_not_listed() -> None:
    assert top_categories(["a"] * 500 + ["b"] * 10 + ["c"] * 9, 5) == ("a", "b")
    assert top_categories(["a"] * 50 + ["b"] * 3 + ["c"] * 2, 5) == ("a", "b")


def test_top_categories_are_the_commonest_then_alphabetical() -> None:
    values = ["b", "a", "c", "c", "b", "a", "d"]
    assert top_categories(values, 3) == ("a", "b", "c")
    assert top_categories(["z", "z", "a"], 5) == ("z", "a")
    assert top_categories([], 5) == ()
    assert top_categories(values, 0) == ()


@given(st.lists(st.text(max_size=3), max_size=5), st.data())
def test_coded_columns_have_the_bins_of_their_texts(values: list[str], data: st.DataObject) -> None:
    codes = data.draw(st.lists(st.integers(-1, len(values) - 1)))
    coded = Coded(values, np.array(codes, dtype=np.int32))
    texts = [None if code < 0 else values[code] for code in codes]
    assert list(coded) == [coded[i] for i in range(len(coded))] == texts
    bins = CategoricalBins(["a", "b", ""])
    assert bins.index(coded).tolist() == bins.index(texts).tolist()
    assert list(coded[1:]) == texts[1:]
