"""Ids in every form of events, and bodies of labels, by a running sidecar."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.events import forms
from sidecar.events.label_decode import LabelDecoder
from sidecar.events.refusals import TooMany, Unreadable
from sidecar.exposition.catalogue import LABEL_REJECT_REASONS
from tests.plugins.serving import (
    JSON,
    MSGPACK,
    NDJSON,
    Reply,
    Samples,
    Start,
    event,
    fraud_config,
    get,
    post,
    request,
    samples,
    value,
)
from tools.process import SidecarProcess, sidecar

LABELS = "    labels: {min_labels: 1, positive: fraud}\n"
LIMITS = "limits: {body_bytes: 64KiB, events_per_body: 1000, string_length: 100}\n"
ARROW = "application/vnd.apache.arrow.stream"
MODELS = """  - name: price
    labels: {min_labels: 1}
  - name: unlabelled
"""


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    directory = tmp_path_factory.mktemp("labelled")
    config = fraud_config(directory, LABELS + MODELS + LIMITS)
    with sidecar(directory, config=config, web=1) as process:
        yield process


def label(url: str, body: Any, content_type: str = JSON) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request(url, "POST", "/labels", content, {"Content-Type": content_type})


def refused(of: Samples, reason: str) -> float:
    return value(of, "model_sidecar_labels_rejected_total", transport="http", reason=reason)


def lines(items: list[Any]) -> bytes:
    return b"\n".join(json.dumps(item).encode() for item in items)


def columns(ids: list[Any]) -> dict[str, Any]:
    many = len(ids)
    features = {"amount": [1.0] * many, "merchant": ["visa"] * many}
    return {
        "model": "fraud",
        "columns": {
            "id": ids,
            "features": features,
            "prediction": ["fraud"] * many,
            "probability": [0.75] * many,
        },
    }


def buffers(ids: list[Any]) -> bytes:
    body = columns(ids)
    body["columns"]["probability"] = struct.pack(f"<{len(ids)}d", *[0.75] * len(ids))
    return msgspec.msgpack.encode(body)


def events(ids: list[Any]) -> list[dict[str, Any]]:
    return [event(id=i, model="fraud", prediction="fraud", probability=0.75) for i in ids]


FORMS = {
    "an array": (JSON, events, ["a0", 10]),
    "one object": (JSON, lambda ids: events(ids)[0], ["a1"]),
    "NDJSON": (NDJSON, lambda ids: lines(events(ids)), ["a2", 12]),
    "columns in JSON": (JSON, columns, ["a3", 13, "ü" * 100]),
    "columns in MessagePack": (MSGPACK, lambda ids: msgspec.msgpack.encode(columns(ids)), ["a4", 2**63 - 1]),
    "columns in MessagePack with buffers": (MSGPACK, buffers, ["a5", -1]),
    "columns one row of which is refused": (
        JSON,
        lambda ids: {"model": "fraud", "columns": columns([*ids, "bad"])["columns"] | {"latency_ms": [1, 1, -1]}},
        ["a6", 16],
    ),
}


@pytest.mark.parametrize(("content_type", "write", "ids"), FORMS.values(), ids=FORMS)
def test_an_id_in_any_form_waits_for_its_label(
    labelled: SidecarProcess, content_type: str, write: Any, ids: list[Any]
) -> None:
    before = samples(labelled.url)
    assert post(labelled.url, write(ids), content_type).json()["accepted"] == len(ids)
    reply = label(labelled.url, [{"id": i, "label": "fraud", "model": "fraud"} for i in ids])
    assert (reply.status, reply.json()) == (202, {"accepted": len(ids), "rejected": 0})
    after = samples(labelled.url)
    for name, labels, change in (
        ("model_labels_total", {"model": "fraud"}, len(ids)),
        ("model_sidecar_labels_total", {"transport": "http"}, len(ids)),
        ("model_labels_correct_total", {"model": "fraud"}, len(ids)),
        ("model_calibration_observations_total", {"model": "fraud", "bin": "07"}, len(ids)),
        ("model_calibration_squared_error_total", {"model": "fraud"}, len(ids) * 0.0625),
        ("model_label_pending_predictions", {"model": "fraud"}, 0),
    ):
        assert value(after, name, **labels) - value(before, name, **labels) == change, name


BAD_IDS: dict[str, Any] = {"a fraction": 1.5, "empty": "", "too long": "x" * 101, "a list": ["x"], "too large": 2**63}


@pytest.mark.parametrize("bad", BAD_IDS.values(), ids=BAD_IDS)
def test_an_id_that_cannot_be_is_refused_with_its_path(labelled: SidecarProcess, bad: Any) -> None:
    reply = post(labelled.url, events([bad]))
    assert (reply.status, reply.json()["errors"][0]["path"]) == (422, "$.id")
    in_columns = post(labelled.url, columns(["fine", bad]))
    assert (in_columns.status, in_columns.json()["accepted"]) == (200, 1)
    assert in_columns.json()["errors"][0] | {"reason": ""} == {"index": 1, "path": "$.id", "reason": ""}
    as_label = label(labelled.url, {"id": bad, "label": "fraud", "model": "fraud"})
    assert (as_label.status, as_label.json()["errors"][0]["path"]) == (422, "$.id")


def test_an_id_column_of_another_length_is_refused(labelled: SidecarProcess) -> None:
    body = columns(["x", "y"])
    body["columns"]["id"] = ["x"]
    assert post(labelled.url, body).json()["errors"][0]["path"] == "$.columns.id"


@pytest.mark.parametrize("id_", [1.5, ["x"], {"x": 1}, "x" * 10_000, None])
def test_an_id_is_neither_looked_at_nor_kept_where_no_labels_are_awaited(labelled: SidecarProcess, id_: Any) -> None:
    body = event(id=id_, model="unlabelled")
    assert post(labelled.url, [body, body]).json() == {"accepted": 2, "rejected": 0}
    in_columns = {"model": "unlabelled", "columns": {"features": {"amount": [1, 2]}, "id": id_}}
    assert post(labelled.url, in_columns).json() == {"accepted": 2, "rejected": 0}
    assert get(labelled.url, "/quality").json()["models"]["unlabelled"] is None


REFUSED: dict[str, tuple[Any, str, str]] = {
    "a label for no prediction": ({"id": "nobody", "label": "fraud", "model": "fraud"}, "unknown_id", "$.id"),
    "a model that is not there": ({"id": "x", "label": "fraud", "model": "nobody"}, "unknown_model", "$.model"),
    "no model where there are several": ({"id": "x", "label": "fraud"}, "unknown_model", "$.model"),
    "a model that takes no labels": (
        {"id": "x", "label": "fraud", "model": "unlabelled"},
        "not_configured",
        "$.model",
    ),
    "no label": ({"id": "x", "model": "fraud"}, "invalid", "$.label"),
    "a label that is null": ({"id": "x", "label": None, "model": "fraud"}, "invalid", "$.label"),
    "a label that is a list": ({"id": "x", "label": ["fraud"], "model": "fraud"}, "invalid", "$.label"),
    "a label that is too long": ({"id": "x", "label": "x" * 101, "model": "fraud"}, "invalid", "$.label"),
    "no id": ({"label": "fraud", "model": "fraud"}, "invalid", "$.id"),
    "a number": (5, "invalid", "$"),
}


@pytest.mark.parametrize(("body", "reason", "path"), REFUSED.values(), ids=REFUSED)
def test_a_refused_label_is_counted_by_its_reason(labelled: SidecarProcess, body: Any, reason: str, path: str) -> None:
    before = samples(labelled.url)
    reply = label(labelled.url, [body])
    document = reply.json()
    assert (reply.status, document["accepted"], document["rejected"]) == (422, 0, 1)
    [error] = document["errors"]
    assert (error["index"], error["path"]) == (0, path)
    after = samples(labelled.url)
    assert {r: refused(after, r) - refused(before, r) for r in LABEL_REJECT_REASONS} == dict.fromkeys(
        LABEL_REJECT_REASONS, 0
    ) | {reason: 1}
    assert value(after, "model_sidecar_events_rejected_total", transport="http", reason="invalid") == value(
        before, "model_sidecar_events_rejected_total", transport="http", reason="invalid"
    )


def test_the_good_labels_of_a_body_count_and_the_others_are_told(labelled: SidecarProcess) -> None:
    post(labelled.url, events(["p0", "p1"]))
    one = {"id": "p0", "label": "fraud", "model": "fraud"}
    reply = label(labelled.url, lines([one, {"id": 5}, {"id": "p1", "label": "x", "model": "fraud"}, one]), NDJSON)
    assert reply.status == 200
    assert [(e["index"], e["path"]) for e in reply.json()["errors"]] == [(1, "$.label"), (3, "$.id")]
    assert reply.json()["accepted"] == 2
    assert "first one counts" in reply.json()["errors"][1]["reason"]
    assert label(labelled.url, b"{}\n{broken\n", NDJSON).status == 422


def test_labels_of_numbers_are_errors_in_their_unit(labelled: SidecarProcess) -> None:
    post(labelled.url, [event(model="price", id=i, prediction=10.0 * i, probability=None) for i in range(3)])
    body = [{"id": i, "label": 10 * i + 3, "model": "price"} for i in range(3)]
    assert label(labelled.url, msgspec.msgpack.encode({"labels": body}), MSGPACK).json()["accepted"] == 3
    hour = get(labelled.url, "/quality").json()["models"]["price"]["windows"]["1h"]
    assert (hour["mean_absolute_error"], hour["root_mean_square_error"], hour["accuracy"]) == (3.0, 3.0, None)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        (b"", JSON, 400, "unreadable"),
        (b"{", JSON, 400, "unreadable"),
        (b"\xc1", MSGPACK, 400, "unreadable"),
        ({"labels": 5}, JSON, 400, "unreadable"),
        ([{}] * 1001, JSON, 413, "too_many_labels"),
        (b"\n".join([b"{}"] * 1001), NDJSON, 413, "too_many_labels"),
        (b" " * 70_000, JSON, 413, "too_large"),
        ({"id": "x", "label": "fraud"}, ARROW, 415, "unreadable"),
    ],
)
def test_a_body_that_cannot_be_taken_counts_as_one(
    labelled: SidecarProcess, body: Any, content_type: str, status: int, reason: str
) -> None:
    before = refused(samples(labelled.url), reason)
    reply = label(labelled.url, body, content_type)
    assert (reply.status, list(reply.json())) == (status, ["error"])
    assert refused(samples(labelled.url), reason) - before == 1


def test_a_media_type_that_nobody_knows_is_taken_for_json(labelled: SidecarProcess) -> None:
    """As `curl -d` sends it, and as for events."""
    for form in ("text/plain", "application/x-www-form-urlencoded"):
        assert label(labelled.url, {"id": "nobody", "label": "fraud", "model": "fraud"}, form).status == 422


def test_nothing_on_the_network_can_label(labelled: SidecarProcess) -> None:
    assert label(labelled.web_urls[0], []).status == 404
    assert get(labelled.web_urls[0], "/quality").status == 200


def test_quality_has_every_window_and_null_for_what_is_not_known(start: Start, tmp_path: Path) -> None:
    labels = "    labels: {min_labels: 2, positive: fraud}\n"
    url = start(fraud_config(tmp_path, labels)).url
    post(url, [event(id=i, prediction=p, probability=q) for i, (p, q) in enumerate([("fraud", 0.9), ("fine", 0.2)])])
    assert label(url, [{"id": 0, "label": "fraud"}]).status == 202
    report = get(url, "/quality").json()["models"]["fraud"]
    assert report["predictions"] == {"kept": 2, "pending": 1, "expired": 0, "evicted": 0, "repeated": 0}
    assert report["windows"]["1h"]["labels"] == 1
    assert report["windows"]["1h"]["accuracy"] is None
    assert label(url, [{"id": 1, "label": "fraud"}]).status == 202
    hour = get(url, "/quality").json()["models"]["fraud"]["windows"]["1h"]
    assert hour["accuracy"] == 0.5
    assert hour["classes"] == {"fraud": {"precision": 1.0, "recall": 0.5}, "fine": {"precision": 0.0, "recall": None}}
    assert hour["brier_score"] == pytest.approx((0.01 + 0.64) / 2)
    assert hour["calibration_error"] == pytest.approx((0.1 + 0.8) / 2)
    assert hour["coverage"] is None


def test_a_reload_keeps_labels_unless_what_they_mean_changes(start: Start, tmp_path: Path) -> None:
    config = fraud_config(tmp_path, LABELS)
    process = start(config, options=["--web.enable-lifecycle"])
    post(process.url, events(["x", "y"]))
    assert request(process.url, "POST", "/-/reload").status == 200
    assert label(process.url, {"id": "x", "label": "fraud"}).status == 202
    fraud_config(tmp_path, "    labels: {ttl: 1h}\n")
    assert request(process.url, "POST", "/-/reload").status == 200
    assert label(process.url, {"id": "y", "label": "fraud"}).status == 422
    fraud_config(tmp_path)
    assert request(process.url, "POST", "/-/reload").status == 200
    assert "takes no labels" in label(process.url, {"id": "y", "label": "fraud"}).text
    assert post(process.url, event(id=1.5)).status == 202


DECODER = LabelDecoder(labels_per_body=100, string_length=10)


@given(st.one_of(st.binary(max_size=200), st.text(alphabet='[]{}",:idlabe0 \n', max_size=60).map(str.encode)))
def test_any_bytes_are_labels_or_refused(body: bytes) -> None:
    for form in forms.FORMS:
        try:
            decoded = DECODER.decode(body, form)
        except (Unreadable, TooMany):
            continue
        assert len(decoded.labels) + decoded.refusals.total <= 100
