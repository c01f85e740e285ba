"""Ids and labels from the client, by each of the three ways in."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_sidecar_client import Client
from model_sidecar_client.wire.encode import bodies

from tests.client.support import EVENT, TRANSPORTS, Listening, client_to, listening, total
from tests.plugins.serving import fraud_config, samples, value, wait_until


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    folder = tmp_path_factory.mktemp("labelled")
    config = fraud_config(folder, "    labels: {min_labels: 1, positive: fraud}\n")
    with listening(folder, config=config) as running:
        yield running


def labels_counted(of: Listening) -> float:
    return value(samples(of.process.url), "model_labels_total", model="fraud")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_labels_arrive_after_the_predictions_they_are_of(up: Listening, transport: str) -> None:
    before = labels_counted(up)
    with client_to(up.targets[transport], batch_events=100) as client:
        for i in range(750):
            client.log(EVENT, "fraud", 0.75, id=f"{transport} {i}")
            client.label(f"{transport} {i}", "fraud")
        assert client.flush()
        assert client.stats().accepted == total(client.stats()) == 1500
    wait_until(lambda: labels_counted(up) == before + 750)


def test_ids_and_labels_of_any_kind_mean_the_same_on_both_sides(up: Listening) -> None:
    before = labels_counted(up)
    ids = [uuid.UUID(int=5), 7, np.int64(8), "ü", -1]
    with client_to(up.targets["http"]) as client:
        for id_ in ids:
            client.log(EVENT, "true", 0.5, id=id_)
        client.log(EVENT, "true")
        for id_, label in zip([str(ids[0]), "7", 8, "ü", -1], [True, np.bool_(True), "true", 1, "no"], strict=True):
            client.label(id_, label)
        assert client.flush()
    assert labels_counted(up) - before == 5
    found = samples(up.process.url)
    assert value(found, "model_label_outcomes_total", model="fraud", predicted="true", actual="true") == 3


def test_refused_labels_count_as_rejected(up: Listening) -> None:
    with client_to(up.targets["http"]) as client:
        client.label("never seen", "fraud")
        assert client.flush()
        assert (client.stats().accepted, client.stats().rejected) == (0, 1)


class Malicious:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("id_", "label"),
    [(None, "x"), ("x", None), (Malicious(), "x"), ("x", Malicious()), ("x", float("nan")), ("\ud800", "x")],
)
def test_a_label_that_cannot_be_sent_costs_the_others_nothing(up: Listening, id_: Any, label: Any) -> None:
    with client_to(up.targets["http"], batch_events=10) as client:
        client.log(EVENT, "fraud", id=f"good {id_!r:.20} {label!r:.20}")
        client.label(id_, label)
        client.label(f"good {id_!r:.20} {label!r:.20}", "fraud")
        assert client.flush()
        assert client.stats().dropped == {"invalid": 1}
        assert total(client.stats()) == 3


def test_labels_share_the_queue_and_its_bound() -> None:
    with client_to("unixgram:///nowhere", queue_events=3, batch_events=3) as client:
        for i in range(10):
            client.label(i, "x")
        assert total(client.stats()) == 10
        assert client.stats().dropped["queue_full"] >= 1
    closed = Client("unixgram:///nowhere")
    closed.close()
    closed.label("x", "y")
    assert closed.stats().dropped == {"closed": 1}


def test_an_id_goes_along_with_a_measured_event(up: Listening) -> None:
    before = labels_counted(up)
    with client_to(up.targets["unix_stream"]) as client:
        with client.measure():
            client.log(EVENT, "fraud", id="measured")
        client.label("measured", "fraud")
        assert client.flush()
    assert labels_counted(up) == before + 1


def test_a_body_of_labels_too_large_for_a_datagram_is_split(up: Listening) -> None:
    with client_to(up.targets["unix_datagram"], batch_events=10_000) as client:
        for i in range(4000):
            client.label("x" * 60 + str(i), "x")
        assert client.flush()
        assert client.stats().accepted == 4000


def test_events_without_ids_are_written_as_before_and_labels_name_the_model() -> None:
    without = ({"a": 1.0}, "x", 0.5, 2.0, False, None)
    [body], unfit = bodies([without], "m")
    assert (body.path, unfit, b"id" in body.content) == ("/monitor", 0, False)
    [of_events, of_labels], _ = bodies([("x", 1), without, (7, True)], "m")
    assert of_events.content == body.content
    assert of_labels.path == "/labels"
    assert json.loads(of_labels.content) == {
        "labels": [{"id": "x", "label": 1, "model": "m"}, {"id": "7", "label": True, "model": "m"}]
    }


def test_a_datagram_that_is_no_list_of_labels_is_refused_and_counted(up: Listening, tmp_path: Path) -> None:
    import socket

    def refused(reason: str) -> float:
        found = samples(up.process.url)
        return value(found, "model_sidecar_labels_rejected_total", transport="unix_datagram", reason=reason)

    before = {reason: refused(reason) for reason in ("unreadable", "unknown_id")}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.connect(up.targets["unix_datagram"].removeprefix("unixgram://"))
        client.send(b'{"labels": 5}')
        client.send(b'{"labels": [{"id": "never", "label": 1}]}')
    wait_until(lambda: refused("unreadable") == before["unreadable"] + 1)
    wait_until(lambda: refused("unknown_id") == before["unknown_id"] + 1)
