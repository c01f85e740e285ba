"""Bodies of the API server and their answers: a pod is never refused, and hostile bodies end in no traceback."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.kubernetes.inject.outcome import Outcome
from sidecar.kubernetes.inject.review import Unreadable, review
from sidecar.kubernetes.inject.settings import Settings
from tests.kubernetes.inject.pods import annotated, applied, pod
from tests.kubernetes.inject.reviews import answer_of, review_of
from tests.plugins.golden import Golden
from tests.schemas import NEWEST, OLDEST, mistakes

DATA = Path(__file__).parent / "data"
SITE = Settings(image="registry.example/model-sidecar:1.0")
CASES = sorted(path.stem for path in DATA.glob("*.json"))


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize("case", CASES)
def test_golden_reviews(case: str, golden: Golden) -> None:
    document = json.loads((DATA / f"{case}.json").read_text())

    reviewed = review(body(document), SITE)

    answer = answer_of(reviewed.answer)
    golden(f"inject/{case}.json", json.dumps({"outcome": reviewed.outcome.value, **answer}, indent=1) + "\n")
    assert answer["allowed"] is True
    assert answer["uid"] == document["request"]["uid"]
    if "patch" in answer:
        after = applied(document["request"]["object"], answer["patch"])
        for version in (OLDEST, NEWEST):
            assert mistakes(after, version) == []
        again = review(body(review_of(after)), SITE)
        assert again.outcome is Outcome.UNCHANGED
        assert "patch" not in answer_of(again.answer)


def test_every_kind_of_pod_has_a_golden_review() -> None:
    assert {
        "annotated",
        "bad-annotation",
        "host-network",
        "init-containers",
        "istio",
        "minimal",
        "security-contexts",
        "volume-taken",
        "windows",
    } <= set(CASES)


def test_a_pod_that_cannot_be_read_is_let_through_with_a_warning() -> None:
    bad_pods: list[Any] = [
        {"spec": {"containers": "none"}},
        {"metadata": {"labels": {"a": 1}}, "spec": {}},
        [],
        None,
        3,
    ]
    for broken in bad_pods:
        reviewed = review(body(review_of(broken)), Settings())

        answer = answer_of(reviewed.answer)
        assert (answer["allowed"], reviewed.outcome) == (True, Outcome.UNREADABLE)
        assert answer["warnings"][0].startswith("model-sidecar: not injected: the pod cannot be read")


def test_what_is_no_pod_that_is_created_is_let_through() -> None:
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    for changed in ({"operation": "UPDATE"}, {"kind": kind}, {"subResource": "ephemeralcontainers"}):
        reviewed = review(body(review_of(pod(), **changed)), Settings())

        assert (answer_of(reviewed.answer)["allowed"], reviewed.outcome) == (True, Outcome.NOT_A_NEW_POD)


def test_a_pod_without_a_name_is_named_by_what_makes_it() -> None:
    document = pod()
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "fraud-7d9", "uid": "u-1", "controller": True}
    document["metadata"] = {"generateName": "fraud-7d9-", "ownerReferences": [{**owner, "controller": False}, owner]}

    about = review(body(review_of(document, namespace="ml", uid="r-1")), Settings()).about

    assert about == {
        "namespace": "ml",
        "generate_name": "fraud-7d9-",
        "owner": "replicaset/fraud-7d9",
        "owner_uid": "u-1",
        "uid": "r-1",
    }


def test_warnings_are_short_and_printable() -> None:
    reviewed = review(body(review_of(annotated(pod(), model="\n\x1b[31m" + "Ä" * 1000))), Settings())

    [warning] = answer_of(reviewed.answer)["warnings"]
    assert len(warning) <= 250
    assert warning.isascii()
    assert warning.isprintable()


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {}}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": 1}}',
        b"\xff\xfe",
    ],
    ids=lambda value: repr(value[:60]),
)
def test_what_is_no_review_is_refused(hostile: bytes) -> None:
    with pytest.raises(Unreadable):
        review(hostile, Settings())


def test_a_pod_that_is_nested_too_deep_is_let_through() -> None:
    deep = body(review_of("DEEP")).replace(b'"DEEP"', b'{"spec": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")

    try:
        reviewed = review(deep, Settings())
    except Unreadable:
        return  # the whole body is nested too deep
    assert reviewed.outcome is Outcome.UNREADABLE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
SPECS = st.fixed_dictionaries(
    {"containers": JSON | st.just([{"name": "a"}])},
    optional=dict.fromkeys(("volumes", "initContainers", "securityContext", "os", "nodeSelector"), JSON),
)
LIKE_PODS = JSON | st.fixed_dictionaries(
    {"spec": JSON | SPECS},
    optional={"metadata": st.fixed_dictionaries({}, optional={"labels": JSON, "annotations": JSON})},
)


@given(LIKE_PODS)
def test_whatever_the_pod_the_answer_is_a_review_that_allows_it(document: Any) -> None:
    reviewed = review(body(review_of(document)), Settings())

    assert answer_of(reviewed.answer)["allowed"] is True


@given(st.binary(max_size=200) | JSON.map(body))
def test_whatever_the_body_it_is_answered_or_refused(document: bytes) -> None:
    with pytest.raises(Unreadable):
        review(document, Settings())
