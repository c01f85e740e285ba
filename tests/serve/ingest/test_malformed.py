"""A table of bodies that are not right: each has its answer, and nothing changes but the counters of rejection."""

import json
import struct
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.plugins.serving import JSON, MSGPACK, NDJSON, Start, changes, event, post, samples
from tools.process import SidecarProcess


class Bad(NamedTuple):
    """A body, and what is to be answered: the path of the first refused field where single events are refused."""

    body: bytes
    status: int
    path: str = ""
    content_type: str = JSON
    reason: str = ""
    rejected: int = 1


def unreadable(body: bytes, content_type: str = JSON) -> Bad:
    return Bad(body, 400, content_type=content_type, reason="unreadable")


def refused(body: bytes | str, path: str, *, rejected: int = 1, content_type: str = JSON) -> Bad:
    content = body if isinstance(body, bytes) else body.encode()
    reason = "unknown_model" if path == "$.model" else "invalid"
    return Bad(content, 422, path, content_type, reason, rejected)


def amount(text: str) -> str:
    return f'{{"features": {{"amount": {text}}}}}'


def merchant(text: str) -> str:
    return f'{{"features": {{"merchant": {text}}}}}'


def beside(text: str) -> str:
    return f'{{"features": {{}}, {text}}}'


def columns(features: str, others: str = "") -> str:
    return f'{{"columns": {{"features": {{{features}}}{others}}}}}'


def packed(document: Any, path: str, *, rejected: int = 1) -> Bad:
    return refused(msgspec.msgpack.encode(document), path, rejected=rejected, content_type=MSGPACK)


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


GOOD = json.dumps(event()).encode()

UNREADABLE = {
    "empty": unreadable(b""),
    "a space": unreadable(b" "),
    "line feeds": unreadable(b"\n\n"),
    "cut short by one byte": unreadable(GOOD[:-1]),
    "cut short in a name": unreadable(GOOD[:8]),
    "trailing text": unreadable(GOOD + b"x"),
    "two objects": unreadable(GOOD + GOOD),
    "an array that does not end": unreadable(b"[" + GOOD),
    "an array with a trailing comma": unreadable(b"[" + GOOD + b",]"),
    "an array, one of whose events is cut short": unreadable(b"[" + GOOD + b"," + GOOD[:-1] + b"]"),
    "single quotes": unreadable(b"{'features': {}}"),
    "a trailing comma": unreadable(amount("1,").encode()),
    "no colon": unreadable(b'{"features" {}}'),
    "a leading zero": unreadable(amount("01").encode()),
    "a hexadecimal number": unreadable(amount("0x1F").encode()),
    "NaN": unreadable(amount("NaN").encode()),
    "Infinity": unreadable(amount("Infinity").encode()),
    "-Infinity": unreadable(amount("-Infinity").encode()),
    "NaN as a probability": unreadable(beside('"probability": NaN').encode()),
    "a comment": unreadable(b"{} // none"),
    "a byte order mark": unreadable(b"\xef\xbb\xbf" + GOOD),
    "UTF-16": unreadable(GOOD.decode().encode("utf-16")),
    "bad UTF-8": unreadable(b"\xff\xfe"),
    "bad UTF-8 in a category": unreadable(b'{"features": {"merchant": "\xff"}}'),
    "bad UTF-8 in the name of a feature": unreadable(b'{"features": {"\xff": 1}}'),
    "half a surrogate pair": unreadable(merchant('"\\ud800"').encode()),
    "a control character in a text": unreadable(merchant('"\n"').encode()),
    "ten thousand open brackets": unreadable(b"[" * 10_000),
    "arrays ten thousand deep": unreadable(b"[" * 10_000 + b"]" * 10_000),
    "objects two thousand deep": unreadable(b'{"features": ' * 2000 + b"1" + b"}" * 2000),
    "an unknown feature ten thousand deep": unreadable(b'{"features": {"x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}}"),
    "a form": unreadable(b"features=1&amount=2"),
    "NDJSON, empty": unreadable(b"", NDJSON),
    "NDJSON of empty lines": unreadable(b"\n\r\n\n", NDJSON),
    "NDJSON, no line of which is JSON": unreadable(b"x\ny\n", NDJSON),
    "NDJSON of bad UTF-8": unreadable(b"\xff\n\xfe", NDJSON),
    "columns cut short": unreadable(b'{"columns": {"features": {"amount": [1, 2'),
    "MessagePack, empty": unreadable(b"", MSGPACK),
    "MessagePack of a code that is not used": unreadable(b"\xc1", MSGPACK),
    "MessagePack cut short": unreadable(b"\x81\xa7columns", MSGPACK),
    "MessagePack that announces a huge array": unreadable(b"\xdd\xff\xff\xff\xff", MSGPACK),
    "MessagePack that announces a huge map": unreadable(b"\xdf\xff\xff\xff\xff", MSGPACK),
    "MessagePack that announces a huge buffer": unreadable(b"\xc6\xff\xff\xff\xff", MSGPACK),
    "MessagePack ten thousand deep": unreadable(b"\x91" * 10_000 + b"\x90", MSGPACK),
    "MessagePack with trailing bytes": unreadable(msgspec.msgpack.encode({"columns": {}}) + b"x", MSGPACK),
    "MessagePack of bad UTF-8": unreadable(b"\x81\xa1\xff\x01", MSGPACK),
    "JSON as MessagePack": unreadable(GOOD, MSGPACK),
}

REFUSED = {
    "null": refused("null", "$"),
    "true": refused("true", "$"),
    "a number": refused("3", "$"),
    "a text": refused('"x"', "$"),
    "an array of an array": refused("[[]]", "$"),
    "an array of arrays": refused("[[1], [2]]", "$", rejected=2),
    "an array of null": refused("[null]", "$"),
    "an array of everything": refused('[1, "x", null, true, [], {}]', "$", rejected=6),
    "no features": refused("{}", "$.features"),
    "no features and no error": refused('{"error": false}', "$.features"),
    "features: null": refused('{"features": null}', "$.features"),
    "features: a list": refused('{"features": []}', "$.features"),
    "features: a number": refused('{"features": 3}', "$.features"),
    "features: a text": refused('{"features": "x"}', "$.features"),
    "a text for a number": refused(amount('"12"'), "$.features.amount"),
    "a boolean for a number": refused(amount("true"), "$.features.amount"),
    "a list for a number": refused(amount("[1]"), "$.features.amount"),
    "an object for a number": refused(amount("{}"), "$.features.amount"),
    "a number past the largest double": refused(amount("1e999"), "$.features.amount"),
    "a number below the smallest double": refused(amount("-1e999"), "$.features.amount"),
    "a whole number of 400 digits": refused(amount("9" * 400), "$.features.amount"),
    "a feature twice, the last one wrong": refused(amount('1, "amount": "x"'), "$.features.amount"),
    "a list for a category": refused(merchant("[1]"), "$.features.merchant"),
    "an object for a category": refused(merchant("{}"), "$.features.merchant"),
    "an infinite category": refused(merchant("1e999"), "$.features.merchant"),
    "a category that is too long": refused(merchant(f'"{"x" * 101}"'), "$.features.merchant"),
    "a probability above 1": refused(beside('"probability": 1.1'), "$.probability"),
    "a probability below 0": refused(beside('"probability": -0.1'), "$.probability"),
    "a text for a probability": refused(beside('"probability": "x"'), "$.probability"),
    "a negative latency": refused(beside('"latency_ms": -1'), "$.latency_ms"),
    "an infinite latency": refused(beside('"latency_ms": 1e999'), "$.latency_ms"),
    "a text for a latency": refused(beside('"latency_ms": "12"'), "$.latency_ms"),
    "a boolean for a latency": refused(beside('"latency_ms": true'), "$.latency_ms"),
    "a text for error": refused(beside('"error": "yes"'), "$.error"),
    "a number for error": refused(beside('"error": 1'), "$.error"),
    "null for error": refused(beside('"error": null'), "$.error"),
    "an object for a prediction": refused(beside('"prediction": {}'), "$.prediction"),
    "a list for a prediction": refused(beside('"prediction": []'), "$.prediction"),
    "a prediction that is too long": refused(beside(f'"prediction": "{"p" * 101}"'), "$.prediction"),
    "an unknown model": refused(beside('"model": "other"'), "$.model"),
    "a number for a model": refused(beside('"model": 3'), "$.model"),
    "null for a model": refused(beside('"model": null'), "$.model"),
    "NDJSON of null": refused("null\n", "$", content_type=NDJSON),
    "NDJSON of an array": refused(b"[" + GOOD + b"]", "$", content_type=NDJSON),
    "NDJSON of empty objects": refused("{}\n{}", "$.features", rejected=2, content_type=NDJSON),
    "NDJSON of columns": refused(columns('"amount": [1]') + "\n", "$.features", content_type=NDJSON),
    "columns: null": refused('{"columns": null}', "$.columns"),
    "columns: a list": refused('{"columns": []}', "$.columns"),
    "columns without features": refused('{"columns": {}}', "$.columns.features"),
    "columns: features a list": refused('{"columns": {"features": []}}', "$.columns.features"),
    "columns: one of another length": refused(
        columns('"amount": [1, 2], "merchant": ["a"]'), "$.columns.features.merchant", rejected=2
    ),
    "columns: latency of another length": refused(
        columns('"amount": [1, 2]', ', "latency_ms": [1]'), "$.columns.latency_ms", rejected=2
    ),
    "columns: a number": refused(columns('"amount": 3'), "$.columns.features.amount"),
    "columns: a text": refused(columns('"amount": "x"'), "$.columns.features.amount"),
    "columns: null for one": refused(columns('"amount": null'), "$.columns.features.amount"),
    "columns: texts for numbers": refused(columns('"amount": ["x", "y"]'), "$.features.amount", rejected=2),
    "columns: a list of lists": refused(columns('"amount": [[1]]'), "$.features.amount"),
    "columns: a negative latency": refused(columns('"amount": [1]', ', "latency_ms": [-1]'), "$.latency_ms"),
    "columns: a probability above 1": refused(columns('"amount": [1]', ', "probability": [2]'), "$.probability"),
    "columns: a text for error": refused(columns('"amount": [1]', ', "error": ["x"]'), "$.error"),
    "columns: an object for a prediction": refused(columns('"amount": [1]', ', "prediction": [{}]'), "$.prediction"),
    "columns: models in a column": refused(columns('"amount": [1]', ', "model": ["fraud"]'), "$.columns.model"),
    "columns: an unknown model": refused('{"model": "x", ' + columns('"amount": [1]')[1:], "$.model"),
    "MessagePack of nil": packed(None, "$"),
    "MessagePack of a number": packed(3, "$"),
    "MessagePack of a list": packed([], "$"),
    "MessagePack of an event": packed(event(), "$.columns"),
    "MessagePack with a key that is no text": packed({1: 2}, "$.columns"),
    "MessagePack of a buffer for columns": packed({"columns": b""}, "$.columns"),
    "MessagePack of an extension": packed({"columns": msgspec.msgpack.Ext(1, b"x")}, "$.columns"),
    "a buffer that is not of whole numbers": packed(
        {"columns": {"features": {"amount": b"1234567"}}}, "$.columns.features.amount"
    ),
    "a buffer of another length": packed(
        {"columns": {"features": {"amount": floats(1, 2), "merchant": ["a"]}}},
        "$.columns.features.merchant",
        rejected=2,
    ),
    "a buffer of negative latency": packed(
        {"columns": {"features": {"amount": floats(1)}, "latency_ms": floats(-1)}}, "$.latency_ms"
    ),
    "a buffer of probabilities above 1": packed(
        {"columns": {"features": {"amount": floats(1)}, "probability": floats(1.5)}}, "$.probability"
    ),
    "a buffer of numbers for error": packed(
        {"columns": {"features": {"amount": floats(1)}, "error": floats(1)}}, "$.error"
    ),
}

TOO_LARGE = {
    "a category of a megabyte": Bad(merchant(f'"{"x" * 1_000_000}"').encode(), 413, reason="too_large"),
    "a text of ten megabytes": Bad(b'"' + b"x" * 10_000_000 + b'"', 413, reason="too_large"),
    "an array of 1,001 events": Bad(b"[" + b",".join([b"{}"] * 1001) + b"]", 413, reason="too_many_events"),
    "1,001 lines": Bad(b"{}\n" * 1001, 413, content_type=NDJSON, reason="too_many_events"),
    "1,001 rows": Bad(columns(f'"amount": [{",".join(["1"] * 1001)}]').encode(), 413, reason="too_many_events"),
    "1,001 rows in a buffer": Bad(
        msgspec.msgpack.encode({"columns": {"features": {"amount": floats(*range(1001))}}}),
        413,
        content_type=MSGPACK,
        reason="too_many_events",
    ),
}


@pytest.mark.parametrize("bad", [pytest.param(v, id=k) for k, v in (UNREADABLE | REFUSED | TOO_LARGE).items()])
def test_refuses_a_malformed_body_and_changes_nothing_but_the_counters_of_rejection(
    fraud: SidecarProcess, bad: Bad
) -> None:
    before = samples(fraud.url)
    reply = post(fraud.url, bad.body, bad.content_type)
    assert reply.status == bad.status, reply.text
    document = reply.json()
    if bad.status == 422:
        assert (document["accepted"], document["rejected"]) == (0, bad.rejected)
        assert document["errors"][0]["index"] == 0
        assert document["errors"][0]["path"] == bad.path
        assert len(document["errors"]) in (1, bad.rejected)
    else:
        assert list(document) == ["error"]
    assert changes(before, samples(fraud.url)) == {("model_sidecar_events_rejected_total", bad.reason): bad.rejected}


FIT_NAMES = {"the name of an output": "prediction", "Unicode": "größe\u2028😀", "a hundred characters": "x" * 100}
UNFIT_NAMES = {
    "a quote": 'say "hi"',
    "a backslash": "a\\b",
    "a line feed": "a\nb",
    "NUL": "\0",
    "nothing": "",
    "ten thousand characters": "x" * 10_000,
}
NAMES = pytest.mark.parametrize("name", [pytest.param(v, id=k) for k, v in (FIT_NAMES | UNFIT_NAMES).items()])


@NAMES
def test_ignores_an_unknown_feature_whatever_its_name_is(fraud: SidecarProcess, name: str) -> None:
    counted = "model_sidecar_unknown_features_total"
    for content in (event(features={name: 1}), [event(features={name: {}})]):
        before = samples(fraud.url)
        reply = post(fraud.url, content)
        assert (reply.status, reply.json()) == (202, {"accepted": 1, "rejected": 0})
        delta = changes(before, samples(fraud.url))
        assert delta["model_predictions_total", ""] == 1
        assert delta.get((counted, ""), 0) == (name in FIT_NAMES.values())
    body = {"columns": {"features": {"amount": [1], name: [1]}}}
    assert post(fraud.url, body).json() == {"accepted": 1, "rejected": 0}


@NAMES
def test_learns_the_other_features_whatever_the_name_of_one_is(start: Start, tmp_path: Path, name: str) -> None:
    config = tmp_path / "sidecar.yml"
    config.write_text("models: [{name: default, learn: {events: 100}, drift: {min_samples: 50}}]")
    url = start(config).url
    assert post(url, [{"features": {name: i, "b": "x"}} for i in range(200)]).status == 202
    learned = {dict(labels)["feature"] for sample, labels in samples(url) if sample == "model_drift_psi"}
    assert learned == ({"b", name} if name in FIT_NAMES.values() else {"b"})
