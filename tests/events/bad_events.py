"""Bodies of events that are refused, wholly or in part, and what is refused of them."""

import json

from sidecar.events.forms import Form
from sidecar.events.refusals import TooMany, Unreadable
from tests.events.support import JSON, MSGPACK, NDJSON, Outcome, coded, one_refusal, packed

DEEP = b"[" * 100_000


DEEP_OBJECT = b'{"a":' * 100_000


FIVE_THOUSAND_DIGITS = b"9" * 5000


BAD_EVENTS: list[tuple[str, Form, bytes, Outcome]] = [
    # not JSON
    ("empty", JSON, b"", Unreadable),
    ("whitespace", JSON, b" \n\t ", Unreadable),
    ("byte order mark", JSON, b'\xef\xbb\xbf{"features": {}}', Unreadable),
    ("utf-16", JSON, '{"features": {}}'.encode("utf-16"), Unreadable),
    ("one quote", JSON, b'"', Unreadable),
    ("NaN", JSON, b'{"features": {"amount": NaN}}', Unreadable),
    ("Infinity", JSON, b'{"features": {"amount": Infinity}}', Unreadable),
    ("minus Infinity", JSON, b'{"features": {"amount": -Infinity}}', Unreadable),
    ("leading zero", JSON, b'{"features": {"amount": 01}}', Unreadable),
    ("plus sign", JSON, b'{"features": {"amount": +1}}', Unreadable),
    ("trailing comma", JSON, b'{"features": {"amount": 1,}}', Unreadable),
    ("single quotes", JSON, b"{'features': {}}", Unreadable),
    ("comment", JSON, b'{"features": {}} // done', Unreadable),
    ("two objects", JSON, b'{"features": {}} {"features": {}}', Unreadable),
    ("object after array", JSON, b'[{"features": {}}] {}', Unreadable),
    ("lines as JSON", JSON, b'{"features": {}}\n{"features": {}}', Unreadable),
    ("bad UTF-8 in a key", JSON, b'{"features": {"am\xffount": 1}}', Unreadable),
    ("bad UTF-8 in a value", JSON, b'{"features": {"merchant": "\xff"}}', Unreadable),
    ("bad UTF-8 in a prediction", JSON, b'{"features": {}, "prediction": "\xc3("}', Unreadable),
    ("overlong UTF-8", JSON, b'{"features": {"merchant": "\xc0\xaf"}}', Unreadable),
    ("surrogate in UTF-8", JSON, b'{"features": {"merchant": "\xed\xa0\x80"}}', Unreadable),
    ("lone high surrogate", JSON, rb'{"features": {"merchant": "\ud800"}}', Unreadable),
    ("lone low surrogate", JSON, rb'{"features": {"merchant": "\udc00x"}}', Unreadable),
    ("bad escape", JSON, rb'{"features": {"merchant": "\x41"}}', Unreadable),
    ("control character", JSON, b'{"features": {"merchant": "\x01"}}', Unreadable),
    ("deep arrays", JSON, DEEP, Unreadable),
    ("deep closed arrays", JSON, DEEP + b"]" * 100_000, Unreadable),
    ("deep objects", JSON, DEEP_OBJECT, Unreadable),
    ("deep in a feature", JSON, b'{"features": {"amount": ' + DEEP, Unreadable),
    (
        "deep in an unknown feature",
        JSON,
        b'{"features": {"zzz": ' + DEEP + b"]" * 100_000 + b"}}",
        Unreadable,
    ),
    ("deep in an array of events", JSON, b'[{"features": {}}, ' + DEEP, Unreadable),
    ("deep columns", JSON, b'{"columns": ' + DEEP, Unreadable),
    # JSON, but no events
    ("null", JSON, b"null", one_refusal("$")),
    ("number", JSON, b"5", one_refusal("$")),
    ("true", JSON, b"true", one_refusal("$")),
    ("text", JSON, b'"features"', one_refusal("$")),
    ("huge text", JSON, b'"' + b"x" * 10_000_000 + b'"', one_refusal("$")),
    ("object without features", JSON, b"{}", one_refusal("$.features")),
    ("features null", JSON, b'{"features": null}', one_refusal("$.features")),
    ("features null without error", JSON, b'{"features": null, "error": false}', one_refusal("$.features")),
    ("features a list", JSON, b'{"features": [1, 2]}', one_refusal("$.features")),
    ("features a number", JSON, b'{"features": 5}', one_refusal("$.features")),
    ("features a list in an error event", JSON, b'{"features": [], "error": true}', one_refusal("$.features")),
    ("array of numbers", JSON, b"[1, 2]", (0, [(0, "$", "invalid"), (1, "$", "invalid")])),
    ("array of arrays", JSON, b'[[{"features": {}}]]', one_refusal("$")),
    ("array of nulls", JSON, b'[null, {"features": {}}]', (1, [(0, "$", "invalid")])),
    # wrong values
    ("number as text", JSON, b'{"features": {"amount": "150"}}', one_refusal("$.features.amount")),
    ("number as boolean", JSON, b'{"features": {"amount": true}}', one_refusal("$.features.amount")),
    ("number as list", JSON, b'{"features": {"amount": [1]}}', one_refusal("$.features.amount")),
    ("number as object", JSON, b'{"features": {"amount": {}}}', one_refusal("$.features.amount")),
    ("number as empty text", JSON, b'{"features": {"amount": ""}}', one_refusal("$.features.amount")),
    ("1e400", JSON, b'{"features": {"amount": 1e400}}', one_refusal("$.features.amount")),
    ("1e400 as category", JSON, b'{"features": {"merchant": -1e400}}', one_refusal("$.features.merchant")),
    (
        "5000 digits",
        JSON,
        b'{"features": {"amount": ' + FIVE_THOUSAND_DIGITS + b"}}",
        one_refusal("$.features.amount"),
    ),
    ("400 digits", JSON, b'{"features": {"amount": ' + b"9" * 400 + b"}}", one_refusal("$.features.amount")),
    (
        *("5000 digits as category", JSON),
        *(b'{"features": {"merchant": ' + FIVE_THOUSAND_DIGITS + b"}}", one_refusal("$.features.merchant")),
    ),
    ("category as list", JSON, b'{"features": {"merchant": []}}', one_refusal("$.features.merchant")),
    ("category as object", JSON, b'{"features": {"merchant": {"a": 1}}}', one_refusal("$.features.merchant")),
    ("long category", JSON, b'{"features": {"merchant": "' + b"x" * 21 + b'"}}', one_refusal("$.features.merchant")),
    (
        *("huge category", JSON),
        *(b'{"features": {"merchant": "' + b"x" * 10_000_000 + b'"}}', one_refusal("$.features.merchant")),
    ),
    ("long prediction", JSON, b'{"features": {}, "prediction": "' + b"x" * 21 + b'"}', one_refusal("$.prediction")),
    ("prediction a list", JSON, b'{"features": {}, "prediction": [1]}', one_refusal("$.prediction")),
    ("prediction an object", JSON, b'{"features": {}, "prediction": {}}', one_refusal("$.prediction")),
    ("prediction 1e400", JSON, b'{"features": {}, "prediction": 1e400}', one_refusal("$.prediction")),
    ("probability as text", JSON, b'{"features": {}, "probability": "0.5"}', one_refusal("$.probability")),
    ("probability above 1", JSON, b'{"features": {}, "probability": 1.0000001}', one_refusal("$.probability")),
    ("probability below 0", JSON, b'{"features": {}, "probability": -0.1}', one_refusal("$.probability")),
    ("probability a boolean", JSON, b'{"features": {}, "probability": true}', one_refusal("$.probability")),
    ("probability a list", JSON, b'{"features": {}, "probability": [0.1, 0.9]}', one_refusal("$.probability")),
    ("negative latency", JSON, b'{"features": {}, "latency_ms": -0.001}', one_refusal("$.latency_ms")),
    ("latency as text", JSON, b'{"features": {}, "latency_ms": "12"}', one_refusal("$.latency_ms")),
    ("latency 1e400", JSON, b'{"features": {}, "latency_ms": 1e400}', one_refusal("$.latency_ms")),
    ("latency a boolean", JSON, b'{"features": {}, "latency_ms": false}', one_refusal("$.latency_ms")),
    ("error as number", JSON, b'{"features": {}, "error": 1}', one_refusal("$.error")),
    ("error as text", JSON, b'{"features": {}, "error": "true"}', one_refusal("$.error")),
    ("error null", JSON, b'{"features": {}, "error": null}', one_refusal("$.error")),
    ("bad error without features", JSON, b'{"error": 1}', one_refusal("$.error")),
    ("bad latency without features", JSON, b'{"error": true, "latency_ms": -1}', one_refusal("$.latency_ms")),
    ("model of another name", JSON, b'{"features": {}, "model": "nope"}', one_refusal("$.model", "unknown_model")),
    ("model null", JSON, b'{"features": {}, "model": null}', one_refusal("$.model", "unknown_model")),
    ("model a number", JSON, b'{"features": {}, "model": 5}', one_refusal("$.model", "unknown_model")),
    ("model an object", JSON, b'{"features": {}, "model": {}}', one_refusal("$.model", "unknown_model")),
    ("model a list", JSON, b'{"features": {}, "model": ["fraud"]}', one_refusal("$.model", "unknown_model")),
    (
        *("model that looks like a path", JSON),
        *(b'{"features": {}, "model": "x - at `$.y`"}', one_refusal("$.model", "unknown_model")),
    ),
    (
        "two models in one event",
        JSON,
        b'{"model": "fraud", "features": {}, "model": "x"}',
        one_refusal("$.model", "unknown_model"),
    ),
    (
        "last of two values counts",
        JSON,
        b'{"features": {"amount": 1, "amount": "x"}}',
        one_refusal("$.features.amount"),
    ),
    # lines
    ("no lines", NDJSON, b" \n\r\n ", Unreadable),
    ("no JSON in any line", NDJSON, b"time=1 level=info\nhello", Unreadable),
    ("array in a line", NDJSON, b'[{"features": {}}]', one_refusal("$")),
    ("number in a line", NDJSON, b'5\n{"features": {}}', (1, [(0, "$", "invalid")])),
    ("cut line", NDJSON, b'{"features": {}}\n{"features": {"amo', (1, [(1, "$", "unreadable")])),
    (
        "bad UTF-8 in a line",
        NDJSON,
        b'{"features": {}}\n{"features": {"merchant": "\xff"}}',
        (1, [(1, "$", "unreadable")]),
    ),
    (
        "NaN in a line",
        NDJSON,
        b'{"features": {"amount": NaN}}\n{"features": {}}',
        (1, [(0, "$", "unreadable")]),
    ),
    ("deep line", NDJSON, b'{"features": {}}\n' + DEEP, (1, [(1, "$", "unreadable")])),
    (
        "blank lines have no index",
        NDJSON,
        b'\n\n{"features": 1}\n\n{"features": {}}',
        (1, [(0, "$.features", "invalid")]),
    ),
    (
        "byte order mark before lines",
        NDJSON,
        b'\xef\xbb\xbf{"features": {}}\n{"features": {}}',
        (1, [(0, "$", "unreadable")]),
    ),
    # too many
    (
        "51 coded rows",
        MSGPACK,
        packed({"columns": {"features": {"merchant": coded(["a"], *[0] * 51)}}}),
        TooMany,
    ),
    ("51 events", JSON, b"[" + b", ".join([b'{"features": {}}'] * 51) + b"]", TooMany),
    ("51 bad events", JSON, b"[" + b", ".join([b"1"] * 51) + b"]", TooMany),
    ("51 lines", NDJSON, b"\n".join([b'{"features": {}}'] * 51), TooMany),
    ("51 bad lines", NDJSON, b"\n".join([b"1"] * 51), TooMany),
    ("51 rows", JSON, json.dumps({"columns": {"features": {"amount": [1] * 51}}}).encode(), TooMany),
    (
        "51 bad rows",
        JSON,
        json.dumps({"columns": {"features": {"amount": ["x"] * 51}}}).encode(),
        TooMany,
    ),
    (
        "51 rows of unequal columns",
        JSON,
        json.dumps({"columns": {"features": {"amount": [1] * 51, "age": []}}}).encode(),
        TooMany,
    ),
    ("51 packed rows", MSGPACK, packed({"columns": {"features": {"amount": bytes(51 * 8)}}}), TooMany),
]
