import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sidecar.statistics import drift
from sidecar.statistics.bins import Floats, Indices
from tests import oracle

FIRST = np.array([0])
NEVER = 0.0

# R, c, whether the last bin is `missing`, PSI, KL, JS, KS (None for categories), threshold.
VECTORS: list[tuple[list[int], list[int], bool, float, float, float, float | None, float]] = [
    ([1000] * 10, [50] * 10, False, 0, 0, 0, 0, 0.058542046),
    (
        *([1000] * 10, [60, 55, 50, 52, 48, 50, 45, 60, 80, 0], False),
        *(0.494078800, 0.114187036, 0.053131527, 0.1, 0.058542046),
    ),
    (
        *([6000, 3000, 900, 0, 100], [300, 150, 40, 7, 3], False),
        *(0.047871425, 0.034415369, 0.006218591, None, 0.038780337),
    ),
    ([1000] * 10, [0] * 9 + [500], False, 6.156316140, 2.232071101, 0.722767051, 0.9, 0.058542046),
    ([100] * 10 + [5], [10] * 10 + [140], True, 3.155901396, 2.343813213, 0.350256667, 0, 0.152725670),
]


def _shares(live: NDArray[Any], reference: NDArray[Any], starts: Indices) -> tuple[Floats, Floats]:
    expected = drift.reference_shares(reference, starts)
    return drift.live_shares(live, expected, starts), expected


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_design_vectors_are_met_to_nine_digits(vector: Any) -> None:
    r, c, last_is_missing, psi, kl, js, ks, threshold = vector
    reference, live = np.array(r), np.array(c)
    q, expected = _shares(live, reference, FIRST)
    assert drift.psi(q, expected, FIRST)[0] == pytest.approx(psi, abs=1e-9)
    assert drift.kl_divergence(q, expected, FIRST)[0] == pytest.approx(kl, abs=1e-9)
    assert drift.js_divergence(q, expected, FIRST)[0] == pytest.approx(js, abs=1e-9)
    if ks is not None:
        present = np.ones(len(r), dtype=bool)
        present[-1] = not last_is_missing
        assert drift.ks_statistic(live, reference, FIRST, present)[0] == pytest.approx(ks, abs=1e-9)
    factor = np.array([drift.significance_factor(len(r), alpha=0.001)])
    smallest = drift.psi_threshold(factor, live.sum(keepdims=True), reference.sum(keepdims=True))
    assert smallest[0] == pytest.approx(threshold, abs=1e-9)


@st.composite
def features(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.int64], Indices]:
    """Live counts of several windows, reference counts, and the starts of several features of any size."""
    sizes = draw(st.lists(st.integers(2, 40), min_size=1, max_size=12))
    windows = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    largest = draw(st.sampled_from([1, 3, 1000, 10**9]))
    zeros = draw(st.sampled_from([0.0, 0.5, 1.0]))
    counts = rng.integers(0, largest, size=(windows + 1, sum(sizes)), endpoint=True)
    counts[rng.random(counts.shape) < zeros] = 0
    counts[-1, np.cumsum(sizes) - sizes] += 1  # a reference has rows
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.intp)
    return counts[:-1], counts[-1], starts


def _segments(starts: Indices, bins: int) -> list[slice]:
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], bins], strict=True)]


@given(features())
def test_stacked_features_equal_one_feature_at_a_time(
    case: tuple[NDArray[np.int64], NDArray[np.int64], Indices],
) -> None:
    live, reference, starts = case
    present = np.ones(reference.size, dtype=bool)
    present[[s.stop - 1 for s in _segments(starts, reference.size)]] = False
    q, r = _shares(live, reference, starts)
    psi, kl = drift.psi(q, r, starts), drift.kl_divergence(q, r, starts)
    js, ks = drift.js_divergence(q, r, starts), drift.ks_statistic(live, reference, starts, present)
    for window in range(len(live)):
        for i, segment in enumerate(_segments(starts, reference.size)):
            slow_r = oracle.reference_shares(reference[segment])
            slow_q = oracle.live_shares(live[window, segment], slow_r)
            assert q[window, segment] == pytest.approx(slow_q, rel=1e-12)
            assert r[segment] == pytest.approx(slow_r, rel=1e-12)
            least_q, least_r = np.maximum(slow_q, 0.0005), np.maximum(slow_r, 0.0005)
            both_ways = scipy.special.kl_div(least_q, least_r) + scipy.special.kl_div(least_r, least_q)
            assert psi[window, i] == pytest.approx(both_ways.sum(), abs=1e-12, rel=1e-9)
            one_way = scipy.special.kl_div(least_q, least_r).sum()
            assert psi[window, i] == pytest.approx(oracle.psi(slow_q, slow_r), abs=1e-12, rel=1e-9)
            assert kl[window, i] == pytest.approx(one_way, abs=1e-12, rel=1e-9)
            assert kl[window, i] == pytest.approx(oracle.kl(slow_q, slow_r), abs=1e-12, rel=1e-9)
            middle = (least_q + least_r) / 2
            divergence = scipy.special.rel_entr(least_q, middle) + scipy.special.rel_entr(least_r, middle)
            assert js[window, i] == pytest.approx(divergence.sum() / 2 / math.log(2), abs=1e-12)
            assert js[window, i] == pytest.approx(oracle.js(slow_q, slow_r), abs=1e-12)
            present_live = live[window, segment][:-1].tolist()
            slow_ks = oracle.ks(present_live, reference[segment][:-1].tolist())
            assert ks[window, i] == pytest.approx(slow_ks, abs=1e-12, nan_ok=True)


@given(features())
def test_statistics_are_never_negative_and_shares_sum_to_one(
    case: tuple[NDArray[np.int64], NDArray[np.int64], Indices],
) -> None:
    live, reference, starts = case
    q, r = _shares(live, reference, starts)
    assert (q >= 0).all()
    assert (r >= 0).all()
    assert drift.per_feature(q, starts) == pytest.approx(np.ones((len(live), starts.size)))
    assert (drift.psi_terms(q, r) >= 0).all()
    assert (drift.psi(q, r, starts) >= 0).all()
    assert (drift.kl_divergence(q, r, starts) >= 0).all()
    js = drift.js_divergence(q, r, starts)
    assert ((js >= 0) & (js <= 1)).all()


@given(features())
def test_a_distribution_does_not_drift_from_itself(
    case: tuple[NDArray[np.int64], NDArray[np.int64], Indices],
) -> None:
    live, reference, starts = case
    _, r = _shares(live, reference, starts)
    assert drift.psi(r, r, starts).tolist() == [NEVER] * starts.size
    assert drift.kl_divergence(r, r, starts).tolist() == [NEVER] * starts.size
    assert drift.js_divergence(r, r, starts).tolist() == [NEVER] * starts.size
    present = np.ones(reference.size, dtype=bool)
    ks = drift.ks_statistic(reference, reference, starts, present)
    assert np.nan_to_num(ks).tolist() == [NEVER] * starts.size


@given(features())
def test_psi_and_js_are_symmetric(case: tuple[NDArray[np.int64], NDArray[np.int64], Indices]) -> None:
    live, reference, starts = case
    q, r = _shares(live, reference, starts)
    assert drift.psi(q, r, starts) == pytest.approx(drift.psi(r, q, starts), rel=1e-9, abs=1e-12)
    assert drift.js_divergence(q, r, starts) == pytest.approx(drift.js_divergence(r, q, starts), abs=1e-12)


@given(features(), st.integers(0, 2**32))
def test_the_order_of_bins_does_not_matter(
    case: tuple[NDArray[np.int64], NDArray[np.int64], Indices], seed: int
) -> None:
    live, reference, starts = case
    rng = np.random.default_rng(seed)
    segments = _segments(starts, reference.size)
    mixed = np.concatenate([rng.permutation(np.arange(s.start, s.stop)) for s in segments])
    q, r = _shares(live, reference, starts)
    q2, r2 = _shares(live[:, mixed], reference[mixed], starts)
    for statistic in (drift.psi, drift.kl_divergence, drift.js_divergence):
        assert statistic(q2, r2, starts) == pytest.approx(statistic(q, r, starts), rel=1e-9, abs=1e-12)


@given(features())
def test_no_traffic_reads_exactly_as_no_drift(
    case: tuple[NDArray[np.int64], NDArray[np.int64], Indices],
) -> None:
    _, reference, starts = case
    q, r = _shares(np.zeros_like(reference), reference, starts)
    assert q.tolist() == r.tolist()
    assert drift.psi(q, r, starts).tolist() == [NEVER] * starts.size
    assert drift.kl_divergence(q, r, starts).tolist() == [NEVER] * starts.size
    assert drift.js_divergence(q, r, starts).tolist() == [NEVER] * starts.size


@given(st.integers(1, 10**6), st.integers(0, 2**32))
def test_the_rows_of_the_reference_do_not_drift_from_it_however_many_there_are(rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(rows, rng.dirichlet(np.full(30, 0.2)))
    q, r = _shares(counts, counts, FIRST)
    for statistic in (drift.psi, drift.kl_divergence, drift.js_divergence):
        assert statistic(q, r, FIRST)[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("live", [[190] * 5 + [50], [200, 100, 300, 150, 250, 0], [0, 0, 0, 0, 999, 1]])
def test_psi_of_given_shares_hardly_depends_on_the_rows_of_the_reference(live: list[int]) -> None:
    found = []
    for rows in (1_000, 20_000, 1_000_000):
        q, r = _shares(np.array(live), np.array([rows // 5] * 5 + [0]), FIRST)
        found.append(drift.psi(q, r, FIRST)[0])
    assert found == pytest.approx([found[0]] * 3, rel=1e-9)


@given(st.lists(st.floats(0.02, 0.3), min_size=10, max_size=10), st.sampled_from([1000, 10_000, 10**6]))
def test_deciles_keep_the_psi_of_their_own_shares(weights: list[float], rows: int) -> None:
    live = np.append((np.array(weights) / sum(weights) * 100_000).astype(int), 0)
    reference = np.array([rows // 10] * 10 + [0])
    psi = drift.psi(*_shares(live, reference, FIRST), FIRST)[0]
    q, r = live[:10] / live.sum(), reference[:10] / rows
    assert psi == pytest.approx(((q - r) * np.log(q / r)).sum(), rel=0.01, abs=1e-9)


def test_ks_depends_on_the_order_of_bins() -> None:
    present = np.ones(3, dtype=bool)
    reference = np.array([10, 10, 10])
    assert drift.ks_statistic(np.array([3, 0, 3]), reference, FIRST, present)[0] == pytest.approx(1 / 6)
    assert drift.ks_statistic(np.array([3, 3, 0]), reference, FIRST, present)[0] == pytest.approx(1 / 3)


def test_ks_is_unknown_without_present_values() -> None:
    present = np.array([True, True, False])
    some, none = np.array([1, 2, 3]), np.array([0, 0, 3])
    assert np.isnan(drift.ks_statistic(none, some, FIRST, present)).all()
    assert np.isnan(drift.ks_statistic(some, none, FIRST, present)).all()


@given(st.integers(1, 300), st.floats(-9, math.log10(0.5)))
@settings(max_examples=200)
def test_chi2_isf_equals_scipy(degrees: int, exponent: float) -> None:
    alpha = 10**exponent
    assert drift.chi2_isf(alpha, degrees) == pytest.approx(scipy.stats.chi2.isf(alpha, degrees), rel=1e-10)


@pytest.mark.parametrize("alpha", [1e-12, 1e-9, 0.001, 0.05, 0.5])
def test_chi2_isf_equals_scipy_at_every_degree(alpha: float) -> None:
    ours = [drift.chi2_isf(alpha, degrees) for degrees in range(1, 301)]
    assert ours == pytest.approx(scipy.stats.chi2.isf(alpha, np.arange(1, 301)), rel=1e-9)


def test_threshold_without_samples_is_out_of_reach() -> None:
    smallest = drift.psi_threshold(np.array([27.9, 27.9]), np.array([0, 100]), np.array(1000))
    assert smallest[0] == math.inf
    assert smallest[1] == pytest.approx(27.9 * (1 / 100 + 1 / 1000))


def test_design_effect_scales_the_threshold() -> None:
    plain = drift.significance_factor(11, alpha=0.001)
    assert drift.significance_factor(11, alpha=0.001, design_effect=2.5) == pytest.approx(2.5 * plain)


# The formulas that people read are evaluated as they stand in the docstrings.


def _formula(function: Callable[..., object], *, having: str) -> str:
    doc = " ".join((inspect.getdoc(function) or "").split())
    return next(str(found) for found in re.findall(r"`([^`]+)`", doc) if having in found)


def _evaluate(formula: str, of_bins: dict[str, list[float]], others: dict[str, Any]) -> list[float]:
    """Evaluate a formula as people write it: `q_i` is of bin i, `a b` a product, `sum` goes over all bins.

    Without a `sum` the answer has a value for each bin, else one.
    """
    formula = formula.split(" = ")[-1]
    formula = re.sub(r"sum (.*?)(?= \+ 1/2 sum|$)", r"sum<\1>", formula)
    formula = re.sub(r"(?<=[\w)]) (?=[\w(])", " * ", formula)
    formula = re.sub(r"\b(\w)_i\b", r"\1[i]", formula)
    formula = formula.replace("<", "(").replace(">", " for i in every)")
    every = range(len(next(iter(of_bins.values()))))
    names = {"ln": math.log, "log2": math.log2, "sum": sum, "every": every, **others, **of_bins}
    wanted = every[:1] if "sum" in formula else every
    return [eval(formula, {"__builtins__": {}, **names, "i": i}) for i in wanted]


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_docstrings_give_the_formulas_that_are_computed(vector: Any) -> None:
    reference, live = [float(n) for n in vector[0]], [float(n) for n in vector[1]]
    sizes = {"B": len(reference), "M": sum(reference), "N": sum(live)}
    r = _evaluate(_formula(drift.reference_shares, having="R_i"), {"R": reference}, sizes)
    q = _evaluate(_formula(drift.live_shares, having="c_i"), {"c": live, "r": r}, sizes)
    assert q == pytest.approx(drift.live_shares(np.array(vector[1]), np.array(r), FIRST).tolist(), rel=1e-12)
    computed_q, computed_r = _shares(np.array(vector[1]), np.array(vector[0]), FIRST)
    assert r == pytest.approx(computed_r.tolist(), rel=1e-12)
    q, r = ([_evaluate(_formula(drift.floored, having="max"), {"x": [x]}, {"max": max})[0] for x in p] for p in (q, r))
    middle = _formula(drift.js_divergence, having="m = ").removeprefix("m = ")
    m = eval(middle, {"__builtins__": {}}, {"q": np.array(q), "r": np.array(r)}).tolist()
    terms = _evaluate(_formula(drift.psi_terms, having="ln"), {"q": q, "r": r}, {})
    assert terms == pytest.approx(drift.psi_terms(computed_q, computed_r).tolist(), abs=1e-12)
    for statistic in (drift.psi, drift.kl_divergence, drift.js_divergence):
        written = _evaluate(_formula(statistic, having="sum"), {"q": q, "r": r, "m": m}, {})
        assert written == pytest.approx(statistic(computed_q, computed_r, FIRST).tolist(), abs=1e-12)


def test_docstrings_give_the_threshold_that_is_computed() -> None:
    written = _formula(drift.significance_factor, having="isf")
    names = {"chi2": scipy.stats.chi2, "alpha": 0.01, "B": 12, "design_effect": 1.5, "thin_effect": 1.2, "max": max}
    factor = eval(written, {"__builtins__": {}}, names)
    assert factor == pytest.approx(
        drift.significance_factor(12, alpha=0.01, design_effect=1.5, thin_effect=1.2), rel=1e-9
    )
    written = _formula(drift.psi_threshold, having="factor")
    smallest = eval(written, {"__builtins__": {}}, {"factor": factor, "N": 300, "M": 7000})
    [least] = drift.psi_threshold(np.array([factor]), np.array([300]), np.array([7000]))
    assert smallest == pytest.approx(least)
