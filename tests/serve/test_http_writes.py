"""What a client that sends to the listeners of a running sidecar sees."""

import gzip
import json
import struct
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.plugins.serving import (
    JSON,
    MSGPACK,
    NDJSON,
    Start,
    changes,
    connected,
    event,
    fraud_config,
    head_sent,
    post,
    rejected,
    request,
    samples,
    value,
    wait_until,
)
from tools.process import SidecarProcess


def columns(**changes: Any) -> dict[str, Any]:
    return {"columns": {"features": {"amount": [1, None], "merchant": ["visa", None]}, "latency_ms": [3, 4]} | changes}


def buffers() -> bytes:
    nan = float("nan")
    return msgspec.msgpack.encode(
        {"columns": {"features": {"amount": struct.pack("<2d", 1.5, nan), "merchant": ["visa", "amex"]}}}
    )


ALL_ACCEPTED = {
    "one object": (JSON, event(), 1),
    "an array": (JSON, [event()] * 3, 3),
    "an empty array": (JSON, [], 0),
    "NDJSON": (NDJSON, b"\n".join([json.dumps(event()).encode()] * 3), 3),
    "NDJSON with a last line feed": (NDJSON, json.dumps(event()).encode() + b"\n", 1),
    "NDJSON with Windows line ends and empty lines": (NDJSON, json.dumps(event()).encode() + b"\r\n\r\n\n", 1),
    "columns in JSON": (JSON, columns(), 2),
    "columns in JSON behind another key": (JSON, {"model": "fraud"} | columns(), 2),
    "columns in MessagePack": (MSGPACK, msgspec.msgpack.encode(columns()), 2),
    "columns in MessagePack with buffers": (MSGPACK, buffers(), 2),
    "an error event without features": (JSON, {"error": True, "latency_ms": 1}, 1),
    "features that are missing": (JSON, {"features": {"amount": None}}, 1),
    "whole numbers and booleans for a category": (JSON, [event(features={"merchant": v}) for v in (1, True, 0.5)], 3),
}


@pytest.mark.parametrize(("content_type", "body", "accepted"), ALL_ACCEPTED.values(), ids=ALL_ACCEPTED)
def test_answers_202_when_every_event_counted(
    fraud: SidecarProcess, content_type: str, body: Any, accepted: int
) -> None:
    before = samples(fraud.url)
    reply = post(fraud.url, body, content_type)
    assert (reply.status, reply.json()) == (202, {"accepted": accepted, "rejected": 0})
    assert reply.headers["Content-Type"] == JSON
    after = samples(fraud.url)
    for name in ("model_predictions_total", "model_sidecar_events_total"):
        assert value(after, name) - value(before, name) == accepted
    assert rejected(after) == rejected(before)


BAD_AMOUNT = event(features={"amount": "much"})
PARTLY_REFUSED = {
    "an array": (JSON, [event(), event(), event(), BAD_AMOUNT], 3, "$.features.amount"),
    "NDJSON": (
        NDJSON,
        b"\n".join(json.dumps(e).encode() for e in (event(), event(), event(), BAD_AMOUNT)),
        3,
        "$.features.amount",
    ),
    "columns in JSON": (JSON, {"columns": {"features": {"amount": [1, 2, 3, "much"]}}}, 3, "$.features.amount"),
    "columns in MessagePack": (
        MSGPACK,
        msgspec.msgpack.encode({"columns": {"features": {}, "latency_ms": [1, 2, 3, -4]}}),
        3,
        "$.latency_ms",
    ),
}


@pytest.mark.parametrize(("content_type", "body", "accepted", "path"), PARTLY_REFUSED.values(), ids=PARTLY_REFUSED)
def test_answers_200_with_index_and_path_when_some_were_refused_and_the_rest_counted(
    fraud: SidecarProcess, content_type: str, body: Any, accepted: int, path: str
) -> None:
    before = samples(fraud.url)
    reply = post(fraud.url, body, content_type)
    document = reply.json()
    assert (reply.status, document["accepted"], document["rejected"]) == (200, accepted, 1)
    [error] = document["errors"]
    assert (error["index"], error["path"]) == (3, path)
    assert set(error) == {"index", "path", "reason"}
    after = samples(fraud.url)
    assert value(after, "model_predictions_total") - value(before, "model_predictions_total") == accepted
    assert rejected(after) - rejected(before) == 1


def test_answers_422_with_the_first_ten_errors_when_all_were_refused(fraud: SidecarProcess) -> None:
    before = samples(fraud.url)
    reply = post(fraud.url, [BAD_AMOUNT] * 25)
    document = reply.json()
    assert (reply.status, document["accepted"], document["rejected"]) == (422, 0, 25)
    assert [error["index"] for error in document["errors"]] == list(range(10))
    assert rejected(samples(fraud.url)) - rejected(before) == 25


CONTENT_TYPES = {
    "with a parameter": ("application/x-ndjson; charset=utf-8", 2),
    "in upper case": ("APPLICATION/X-NDJSON", 2),
    "with spaces": ("  application/x-ndjson ;charset=utf-8", 2),
}


@pytest.mark.parametrize(("content_type", "accepted"), CONTENT_TYPES.values(), ids=CONTENT_TYPES)
def test_reads_a_content_type(fraud: SidecarProcess, content_type: str, accepted: int) -> None:
    line = json.dumps(event()).encode()
    assert post(fraud.url, line + b"\n" + line, content_type).json() == {"accepted": accepted, "rejected": 0}


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "é", ";;"])
def test_takes_a_body_whose_content_type_says_nothing_for_json(fraud: SidecarProcess, content_type: str | None) -> None:
    assert post(fraud.url, event(), content_type).status == 202


def test_takes_a_body_in_chunks(fraud: SidecarProcess) -> None:
    body = json.dumps([event()] * 3).encode()
    chunks = (body[i : i + 7] for i in range(0, len(body), 7))
    reply = request(fraud.url, "POST", "/monitor", chunks)
    assert (reply.status, reply.json()["accepted"]) == (202, 3)


def test_takes_a_body_packed_with_gzip(fraud: SidecarProcess) -> None:
    body = gzip.compress(json.dumps([event()] * 3).encode())
    reply = request(fraud.url, "POST", "/monitor", body, {"Content-Encoding": "gzip"})
    assert (reply.status, reply.json()["accepted"]) == (202, 3)


def test_answers_413_to_a_body_that_unpacks_to_more_than_the_limit(fraud: SidecarProcess) -> None:
    before = samples(fraud.url)
    bomb = gzip.compress(b"[" + b" " * 20_000_000 + b"]")
    assert len(bomb) < 64 * 1024
    reply = request(fraud.url, "POST", "/monitor", bomb, {"Content-Encoding": "gzip"})
    assert reply.status == 413
    assert changes(before, samples(fraud.url)) == {("model_sidecar_events_rejected_total", "too_large"): 1}


def test_answers_400_to_a_body_that_is_not_packed_as_it_says(fraud: SidecarProcess) -> None:
    before = samples(fraud.url)
    reply = request(fraud.url, "POST", "/monitor", json.dumps(event()).encode(), {"Content-Encoding": "gzip"})
    assert reply.status == 400
    assert changes(before, samples(fraud.url)) == {("model_sidecar_events_rejected_total", "unreadable"): 1}


EVENTS = json.dumps([event()] * 3).encode()
PACKED = gzip.compress(EVENTS)
CUT = {
    "in its header": PACKED[:5],
    "in its data": PACKED[: len(PACKED) // 2],
    "before its checksum": PACKED[:-8],
    "in its checksum": PACKED[:-1],
    "after a whole member": PACKED + PACKED[:-1],
    "with a wrong checksum": PACKED[:-8] + b"\0" * 4 + PACKED[-4:],
    "with more behind it": PACKED + b"more",
    "of nothing": b"",
    "of lines": gzip.compress(b"\n".join([json.dumps(event()).encode()] * 300))[:-9],
}


@pytest.mark.parametrize("path", ["/monitor", "/labels"])
@pytest.mark.parametrize("body", CUT.values(), ids=CUT)
def test_answers_400_to_a_compressed_body_that_does_not_end_and_counts_nothing_of_it(
    fraud: SidecarProcess, path: str, body: bytes
) -> None:
    before = samples(fraud.url)
    reply = request(fraud.url, "POST", path, body, {"Content-Encoding": "gzip", "Content-Type": NDJSON})
    assert reply.status == 400
    assert "cut short" in reply.json()["error"]
    kind = "events" if path == "/monitor" else "labels"
    assert changes(before, samples(fraud.url)) == {(f"model_sidecar_{kind}_rejected_total", "unreadable"): 1}


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", "deflate", "identity"])
def test_takes_every_coding_that_is_documented(fraud: SidecarProcess, coding: str) -> None:
    packed = {"deflate": zlib.compress(EVENTS), "identity": EVENTS}.get(coding, PACKED)
    assert request(fraud.url, "POST", "/monitor", packed, {"Content-Encoding": coding}).json()["accepted"] == 3
    members = gzip.compress(EVENTS[:10]) + gzip.compress(EVENTS[10:])
    if "gzip" in coding.lower():
        assert request(fraud.url, "POST", "/monitor", members, {"Content-Encoding": coding}).json()["accepted"] == 3


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "nonsense"])
def test_answers_415_to_a_coding_that_is_not_known_and_counts_it(fraud: SidecarProcess, coding: str) -> None:
    before = samples(fraud.url)
    reply = request(fraud.url, "POST", "/monitor", PACKED, {"Content-Encoding": coding})
    assert reply.status == 415
    assert reply.json() == {"error": f"the Content-Encoding {coding!r} is not gzip, deflate or identity"}
    assert changes(before, samples(fraud.url)) == {("model_sidecar_events_rejected_total", "unreadable"): 1}


def test_answers_413_to_a_body_whose_announced_length_is_too_much_before_it_is_sent(fraud: SidecarProcess) -> None:
    before = samples(fraud.url)
    with connected(fraud.url) as connection:
        connection.sendall(b"POST /monitor HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 65537\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    assert changes(before, samples(fraud.url)) == {("model_sidecar_events_rejected_total", "too_large"): 1}


def test_answers_413_to_chunks_that_add_up_to_too_much(fraud: SidecarProcess) -> None:
    before = samples(fraud.url)
    chunks = iter([b" " * 1000] * 70)
    assert request(fraud.url, "POST", "/monitor", chunks).status == 413
    assert changes(before, samples(fraud.url)) == {("model_sidecar_events_rejected_total", "too_large"): 1}


def test_answers_413_to_a_body_of_too_many_events(fraud: SidecarProcess) -> None:
    before = samples(fraud.url)
    assert post(fraud.url, [{"features": {}}] * 1001).status == 413
    assert changes(before, samples(fraud.url)) == {("model_sidecar_events_rejected_total", "too_many_events"): 1}


@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_answers_503_and_counts_nothing_while_too_many_bodies_are_under_way(
    start: Start, tmp_path: Path, encoding: str | None
) -> None:
    config = fraud_config(tmp_path, "limits: {body_bytes: 1KiB, inflight_bytes: 1KiB}\n")
    url = start(config).url
    content = json.dumps(event()).encode().ljust(1024)
    body = gzip.compress(content) if encoding else content
    end = 8 if encoding else 1  # of gzip, its checksum and length
    with head_sent(url, content_length=len(body), encoding=encoding) as first:
        assert first.recv(100).startswith(b"HTTP/1.1 100")
        first.sendall(body[:-end])
        before = samples(url)
        wait_until(lambda: (reply := post(url, event())).status == 503 and reply.headers["Retry-After"] == "1")
        assert ("model_sidecar_events_dropped_total", "overload") in changes(before, samples(url))
        first.sendall(body[-end:])
        assert first.recv(100).startswith(b"HTTP/1.1 202")
    accepted = value(samples(url), "model_predictions_total")
    assert post(url, event()).status == 202
    assert value(samples(url), "model_predictions_total") == accepted + 1


def test_bodies_that_are_announced_and_not_sent_take_no_room(start: Start, tmp_path: Path) -> None:
    url = start(fraud_config(tmp_path, "limits: {body_bytes: 1KiB, inflight_bytes: 1KiB}\n")).url
    with ExitStack() as stack:
        for _ in range(8):
            announced = stack.enter_context(head_sent(url, content_length=1024))
            assert announced.recv(100).startswith(b"HTTP/1.1 100")
            announced.sendall(b"{")
        assert post(url, event()).status == 202
        assert value(samples(url), "model_sidecar_events_dropped_total", reason="overload") == 0


def test_the_body_that_finds_no_room_is_dropped_and_the_others_go_on(start: Start, tmp_path: Path) -> None:
    url = start(fraud_config(tmp_path, "limits: {body_bytes: 1KiB, inflight_bytes: 1KiB}\n")).url
    body = json.dumps(event()).encode().ljust(700)
    with connected(url) as first, connected(url) as second:
        for connection in (first, second):  # plain requests, which aiohttp does not see
            connection.sendall(b"POST /monitor HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 700\r\n\r\n{")
        first.sendall(body[1:600])
        wait_until(lambda: value(samples(url), "model_sidecar_events_dropped_total", reason="overload") == 0)
        second.sendall(body[1:600])
        reply = second.recv(1000)
        assert reply.startswith(b"HTTP/1.1 503")
        assert b"\r\nRetry-After: 1\r\n" in reply
        first.sendall(body[600:])
        assert first.recv(100).startswith(b"HTTP/1.1 202")


def test_counts_a_body_that_was_cut_short_as_unreadable_and_frees_its_place(start: Start, tmp_path: Path) -> None:
    process = start(fraud_config(tmp_path, "limits: {body_bytes: 1KiB, inflight_bytes: 1KiB}\n"))
    with head_sent(process.url, content_length=1024) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(b'{"features"')
    wait_until(lambda: value(samples(process.url), "model_sidecar_events_rejected_total", reason="unreadable") == 1)
    assert post(process.url, event()).status == 202
    assert "level=error" not in process.log.read_text()


NOT_HTTP = {
    "no HTTP": b"hello\r\n\r\n",
    "a length that is no number": b"POST /monitor HTTP/1.1\r\nHost: [::1]\r\nContent-Length: some\r\n\r\n",
    "a negative length": b"POST /monitor HTTP/1.1\r\nHost: [::1]\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST /monitor HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a length and chunks": (
        b"POST /monitor HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "a chunk size that is no number": (
        b"POST /monitor HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    ),
    "a path without end": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: [::1]\r\n\r\n",
    "a header without end": b"GET / HTTP/1.1\r\nHost: [::1]\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("text", NOT_HTTP.values(), ids=NOT_HTTP)
def test_answers_400_to_what_is_not_http_and_logs_no_error(fraud: SidecarProcess, text: bytes) -> None:
    before = samples(fraud.url)
    with connected(fraud.url) as connection:
        connection.sendall(text)
        assert b" 400 " in connection.recv(100)
    assert changes(before, samples(fraud.url)) == {}
    assert "level=error" not in fraud.log.read_text()


def test_a_body_that_does_not_arrive_is_given_up_and_makes_room_for_others(start: Start, tmp_path: Path) -> None:
    limits = "limits: {body_bytes: 1KiB, inflight_bytes: 1KiB, body_timeout: 1s}\n"
    url = start(fraud_config(tmp_path, limits)).url
    with head_sent(url, content_length=1024) as stalled:
        assert stalled.recv(100).startswith(b"HTTP/1.1 100")
        stalled.sendall(b" " * 1023)
        wait_until(lambda: post(url, event()).status == 503)
        assert stalled.recv(100).startswith(b"HTTP/1.1 408")
    assert post(url, event()).status == 202
    assert value(samples(url), "model_sidecar_events_rejected_total", reason="unreadable") == 1
