from datetime import UTC, datetime

import numpy as np
import pytest

from sidecar.config import DriftConfig
from sidecar.reference import CategoricalProfile, FeatureProfile, NumericProfile, Profile, build
from sidecar.reference.difference import Difference, differences
from tests import oracle

SETTINGS = DriftConfig()


def profile(*features: FeatureProfile) -> Profile:
    rows = sum(features[0].bin_counts())
    return Profile(created=datetime(2026, 1, 1, tzinfo=UTC), rows=rows, features=features)


def numeric(counts: list[int], *, edges: list[float] | None = None, missing: int = 0) -> NumericProfile:
    own = edges if edges is not None else [float(i) for i in range(len(counts) - 1)]
    return NumericProfile(name="x", counts=tuple(counts), missing=missing, edges=tuple(own))


def categorical(counts: dict[str, int], *, other: int = 0, missing: int = 0) -> CategoricalProfile:
    return CategoricalProfile(
        name="x", categories=tuple(counts), counts=tuple(counts.values()), other=other, missing=missing
    )


def one(a: FeatureProfile, b: FeatureProfile) -> Difference:
    (found,) = differences(profile(a), profile(b), SETTINGS)
    return found


def test_a_profile_does_not_differ_from_itself() -> None:
    found = one(numeric([100] * 10), numeric([100] * 10))
    assert found.statistics["psi"] == pytest.approx(0, abs=0.005)  # what smoothing leaves in the empty `missing` bin
    assert (found.level, found.statistics["ks"], found.note) == ("none", 0, "")


def test_statistics_are_those_of_the_shares() -> None:
    # B = 3 bins, M = 1000 and N = 500.
    found = one(numeric([600, 400]), numeric([200, 300]))
    r = oracle.reference_shares([600, 400, 0])
    q = oracle.live_shares([200, 300, 0], r)
    assert found.statistics["psi"] == pytest.approx(oracle.psi(q, r))
    assert found.statistics["kl"] == pytest.approx(oracle.kl(q, r))
    assert found.statistics["js"] == pytest.approx(oracle.js(q, r))
    assert found.statistics["ks"] == pytest.approx(0.2)
    assert found.statistics["threshold"] == pytest.approx(13.815511 * (1 / 500 + 1 / 1000))
    assert found.level == "moderate"


def test_too_few_rows_are_not_judged() -> None:
    assert one(numeric([500, 500]), numeric([100, 0])).level == "unknown"


def test_numeric_bins_that_differ_are_not_compared() -> None:
    found = one(numeric([500, 500], edges=[0]), numeric([500, 500], edges=[1]))
    assert (found.statistics["psi"], found.level) == (None, "unknown")
    assert "compare the data" in found.note


def test_categories_of_one_side_are_other_on_both() -> None:
    found = one(categorical({"a": 600, "b": 400}), categorical({"c": 100, "a": 500}, other=400))
    whole = one(categorical({"a": 600}, other=400), categorical({"a": 500}, other=500))
    assert found.statistics["psi"] == whole.statistics["psi"]
    assert found.note == "2 categories that one side lists are `other`"


def test_the_order_of_categories_does_not_matter() -> None:
    found = one(categorical({"a": 600, "b": 400}), categorical({"b": 400, "a": 600}))
    assert found.statistics["psi"] == pytest.approx(0, abs=0.01)
    assert found.note == ""


def test_a_feature_that_never_had_a_value_is_compared_by_what_is_missing() -> None:
    found = one(categorical({}, missing=1000), numeric([500, 500]))
    assert found.level == "critical"
    assert found.missing == (1.0, 0.0)
    assert one(categorical({"a": 1000}), numeric([500, 500])).note == "one side is numeric, the other categorical"


def test_the_largest_psi_comes_first_after_what_cannot_be_compared() -> None:
    rng = np.random.default_rng(1)
    same, moved, gone = rng.normal(size=(3, 2000))
    a = build({"same": same, "moved": moved, "gone": gone}, bins=4)
    edges = {f.name: f for f in a.features}
    counts = {name: edges[name].bins().index(values) for name, values in (("same", same), ("moved", moved + 2))}
    b = profile(
        *(
            NumericProfile(
                name=name,
                edges=edges[name].edges,  # type: ignore[union-attr]  # numeric
                counts=tuple(np.bincount(found, minlength=5)[:-1].tolist()),
                missing=0,
            )
            for name, found in counts.items()
        )
    )
    found = differences(a, b, SETTINGS)
    assert [(d.name, d.level) for d in found] == [("gone", "unknown"), ("moved", "critical"), ("same", "none")]
    assert found[0].note == "only in the first"
    assert differences(b, a, SETTINGS)[0].note == "only in the second"
