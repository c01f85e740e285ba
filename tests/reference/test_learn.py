import math
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config import Learn
from sidecar.events.batch import PREDICTION, PROBABILITY, Batch, Key, Schema
from sidecar.reference import CategoricalProfile, NumericProfile, Profile, build, learn
from sidecar.reference.learn import MOST_DISTINCT, MOST_VALUES, Learner

A, B = Key("input", "a"), Key("input", "b")
CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def _batch(numeric: dict[Key, list[Any]], categorical: dict[Key, list[Any]] | None = None) -> Batch:
    categorical = categorical or {}
    rows = len(next(iter([*numeric.values(), *categorical.values()]), []))
    schema = Schema("m", tuple(numeric), tuple(categorical), learning=True)
    matrix = np.array(list(numeric.values()), dtype=float).reshape(len(numeric), rows)
    return Batch(schema, rows, 0, np.empty(0), rows, matrix, list(categorical.values()), 0)


def _profile(learner: Learner) -> Profile:
    return learner.profile(model="m", model_version="1", created=CREATED)


def _names(profile: Profile) -> list[tuple[str, str]]:
    return [(feature.role, feature.name) for feature in profile.features]


def test_learning_uses_exactly_the_rows_that_are_wanted() -> None:
    learner = Learner(Learn(events=100))
    assert learner.add(_batch({A: [1.0] * 60})) == 60
    assert not learner.complete
    assert learner.add(_batch({A: [2.0] * 60})) == 40
    assert learner.complete
    profile = _profile(learner)
    assert profile.rows == 100
    [feature] = profile.features
    assert feature.counts == (0, 60, 40, 0)


def test_what_is_learned_equals_what_is_built() -> None:
    rng = np.random.default_rng(1)
    numbers, texts = rng.normal(size=1000).tolist(), rng.choice(["x", "y", "z"], 1000).tolist()
    learner = Learner(Learn(events=1000, bins=8, categories=2))
    for first in range(0, 1000, 90):
        learner.add(_batch({A: numbers[first : first + 90]}, {B: texts[first : first + 90]}))
    built = build({"a": numbers, "b": texts}, bins=8, categories=2, created=CREATED)
    assert _profile(learner).features == built.features
    assert _profile(learner).fingerprint == built.fingerprint


def test_a_feature_that_comes_late_was_missing_before() -> None:
    learner = Learner(Learn(events=100))
    learner.add(_batch({A: [1.0] * 50}))
    learner.add(_batch({A: [1.0] * 50, B: [3.0] * 50}, {PREDICTION: ["yes"] * 50}))
    profile = _profile(learner)
    assert _names(profile) == [("input", "a"), ("input", "b"), ("output", "prediction")]
    assert [feature.missing for feature in profile.features] == [0, 50, 50]


def test_a_feature_that_stops_coming_is_missing_after() -> None:
    learner = Learner(Learn(events=100))
    learner.add(_batch({A: [1.0] * 50, B: [3.0] * 50}, {PREDICTION: ["yes"] * 50}))
    learner.add(_batch({A: [1.0] * 50}))
    assert [feature.missing for feature in _profile(learner).features] == [0, 50, 50]


def test_columns_that_never_held_a_value_are_left_out() -> None:
    learner = Learner(Learn(events=100))
    learner.add(_batch({A: [1.0] * 100, PROBABILITY: [math.nan] * 100}, {B: [None] * 100}))
    assert _names(_profile(learner)) == [("input", "a")]


def test_rows_without_any_value_before_the_first_are_no_reference() -> None:
    learner = Learner(Learn(events=100))
    nothing = [math.nan] * 150
    assert learner.add(_batch({A: nothing}, {B: [None] * 150})) == 150
    assert learner.rows == 0
    assert learner.add(_batch({A: [*nothing, 1.0, math.nan]}, {B: [None] * 152})) == 152
    assert learner.rows == 2
    assert learner.add(_batch({A: [2.0] * 200})) == 98
    assert _profile(learner).features[0].missing == 1


def test_a_batch_without_rows_teaches_nothing() -> None:
    learner = Learner(Learn(events=100))
    assert learner.add(_batch({A: []})) == 0
    learner.add(_batch({A: [1.0]}))
    assert learner.add(_batch({A: []})) == 0
    assert learner.rows == 1


def test_more_columns_than_memory_holds_end_learning_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learn, "MOST_VALUES", 1000)
    learner = Learner(Learn(events=10_000))
    keys = [Key("input", f"f{i}") for i in range(5)]
    assert learner.add(_batch({key: [1.0] * 500 for key in keys})) == 200
    assert learner.complete
    assert _profile(learner).rows == 200
    assert MOST_VALUES >= 100 * 10_000


def test_a_reference_has_a_hundred_rows_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learn, "MOST_VALUES", 10)
    learner = Learner(Learn(events=10_000))
    assert learner.add(_batch({A: [1.0] * 500})) == 100


def test_texts_beyond_the_bound_are_other() -> None:
    learner = Learner(Learn(events=10_000, categories=2))
    texts = ["common"] * 10 + [f"t{i}" for i in range(MOST_DISTINCT + 500)] + ["t0"] * 9 + ["late"] * 50
    learner.add(_batch({}, {A: texts}))
    assert len(learner._texts[A]) == MOST_DISTINCT
    [feature] = _profile(learner).features
    assert isinstance(feature, CategoricalProfile)
    assert feature.categories == ("common", "t0")
    assert feature.other == len(texts) - 20


def test_booleans_and_numbers_are_their_texts() -> None:
    learner = Learner(Learn(events=100))
    learner.add(_batch({}, {A: [True, "true", 1, 1.0, "1", None]}))
    [feature] = _profile(learner).features
    assert isinstance(feature, CategoricalProfile)
    assert (feature.categories, feature.counts, feature.missing) == (("1", "true"), (3, 2), 1)


def test_a_learned_profile_says_so() -> None:
    learner = Learner(Learn(events=100))
    learner.add(_batch({A: [1.0] * 100}))
    profile = _profile(learner)
    assert (profile.model, profile.model_version, profile.source, profile.created) == ("m", "1", "learned", CREATED)
    assert isinstance(profile.features[0], NumericProfile)


rows = st.lists(
    st.tuples(st.sampled_from([math.nan, 0.0, 1.5, 2.0]), st.sampled_from([None, "x", "y", True, 3])), max_size=150
)


@given(rows, st.lists(st.integers(0, 40), max_size=8))
def test_splitting_batches_teaches_the_same(pairs: list[tuple[float, Any]], sizes: list[int]) -> None:
    whole, parts = Learner(Learn(events=100)), Learner(Learn(events=100))
    bounds = [0, *np.minimum(np.cumsum(sizes), len(pairs)).tolist(), len(pairs)]
    used = whole.add(_batch({A: [a for a, _ in pairs]}, {B: [b for _, b in pairs]}))
    used_of_parts = 0
    for first, last in pairwise(bounds):
        part = pairs[first:last]
        if used_of_parts == first:
            used_of_parts += parts.add(_batch({A: [a for a, _ in part]}, {B: [b for _, b in part]}))
    assert (used, whole.rows, whole.complete) == (used_of_parts, parts.rows, parts.complete)
    if whole.rows:
        assert _profile(whole) == _profile(parts)
