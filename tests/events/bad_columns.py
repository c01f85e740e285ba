"""Bodies of columns that are refused, wholly or in part, and what is refused of them."""

import math

from sidecar.events.forms import Form
from sidecar.events.refusals import Unreadable
from tests.events.support import JSON, MSGPACK, Outcome, coded, one_refusal, packed, packed_floats

MERCHANT_AT = "$.columns.features.merchant"


BAD_COLUMNS: list[tuple[str, Form, bytes, Outcome]] = [
    # columns
    ("columns null", JSON, b'{"columns": null}', one_refusal("$.columns")),
    ("columns a list", JSON, b'{"columns": []}', one_refusal("$.columns")),
    ("columns without features", JSON, b'{"columns": {"latency_ms": [1]}}', one_refusal("$.features")),
    (
        "columns with null features",
        JSON,
        b'{"columns": {"features": null, "latency_ms": [1]}}',
        one_refusal("$.features"),
    ),
    (
        "columns with a list of features",
        JSON,
        b'{"columns": {"features": [[1]]}}',
        one_refusal("$.columns.features"),
    ),
    (
        "columns with an empty list of features",
        JSON,
        b'{"columns": {"features": []}}',
        one_refusal("$.columns.features"),
    ),
    ("columns with text features", JSON, b'{"columns": {"features": ""}}', one_refusal("$.columns.features")),
    ("column a number", JSON, b'{"columns": {"features": {"amount": 5}}}', one_refusal("$.columns.features.amount")),
    (
        "column a text",
        JSON,
        b'{"columns": {"features": {"amount": "abc"}}}',
        one_refusal("$.columns.features.amount"),
    ),
    (
        "column in base64",
        JSON,
        b'{"columns": {"features": {"amount": "AAAAAAAA8D8="}}}',
        one_refusal("$.columns.features.amount"),
    ),
    (
        "column an object",
        JSON,
        b'{"columns": {"features": {"amount": {"0": 1}}}}',
        one_refusal("$.columns.features.amount"),
    ),
    ("column null", JSON, b'{"columns": {"features": {"amount": null}}}', one_refusal("$.columns.features.amount")),
    (
        "latency column a number",
        JSON,
        b'{"columns": {"features": {}, "latency_ms": 5}}',
        one_refusal("$.columns.latency_ms"),
    ),
    (
        *("columns of unequal length", JSON),
        *(
            b'{"columns": {"features": {"amount": [1, 2, 3], "age": [1]}}}',
            (0, [(0, "$.columns.features.age", "invalid")]),
        ),
    ),
    (
        *("shorter latency column", JSON),
        *(
            b'{"columns": {"features": {"amount": [1, 2]}, "latency_ms": [1]}}',
            (0, [(0, "$.columns.latency_ms", "invalid")]),
        ),
    ),
    (
        "nested column",
        JSON,
        b'{"columns": {"features": {"amount": [1, [2], 3]}}}',
        (2, [(1, "$.features.amount", "invalid")]),
    ),
    (
        "text in a number column",
        JSON,
        b'{"columns": {"features": {"amount": ["1"]}}}',
        one_refusal("$.features.amount"),
    ),
    ("1e400 in a column", JSON, b'{"columns": {"features": {"amount": [1, 1e400]}}}', Unreadable),
    (
        "model among columns",
        JSON,
        b'{"columns": {"features": {}, "model": ["fraud"]}}',
        one_refusal("$.columns.model"),
    ),
    (
        *("unknown model of columns", JSON),
        *(b'{"columns": {"features": {"amount": [1]}}, "model": "x"}', one_refusal("$.model", "unknown_model")),
    ),
    (
        "unknown model of no rows",
        JSON,
        b'{"columns": {"features": {}}, "model": "x"}',
        one_refusal("$.model", "unknown_model"),
    ),
    (
        "negative latency in a column",
        JSON,
        b'{"columns": {"features": {}, "latency_ms": [1, -1]}}',
        (1, [(1, "$.latency_ms", "invalid")]),
    ),
    (
        "probability 2 in a column",
        JSON,
        b'{"columns": {"features": {}, "probability": [2, 1]}}',
        (1, [(0, "$.probability", "invalid")]),
    ),
    (
        "error a number in a column",
        JSON,
        b'{"columns": {"features": {}, "error": [1, true]}}',
        (1, [(0, "$.error", "invalid")]),
    ),
    # MessagePack
    ("packed nothing", MSGPACK, b"", Unreadable),
    ("packed garbage", MSGPACK, b"\xc1\xff\x00", Unreadable),
    ("packed JSON", MSGPACK, b'{"columns": {}}', Unreadable),
    ("packed number", MSGPACK, packed(5), one_refusal("$")),
    ("packed null", MSGPACK, packed(None), one_refusal("$")),
    ("packed list", MSGPACK, packed([{"features": {}}]), one_refusal("$")),
    ("packed event", MSGPACK, packed({"features": {}}), one_refusal("$.columns")),
    ("packed extension", MSGPACK, b"\xd4\x05\x00", one_refusal("$")),
    ("packed extension as columns", MSGPACK, b"\x81\xa7columns\xd4\x05\x00", one_refusal("$.columns")),
    ("packed trailing bytes", MSGPACK, packed({"columns": {"features": {}}}) + b"\x00", Unreadable),
    ("packed bad UTF-8", MSGPACK, b"\x81\xa2\xff\xff\x01", Unreadable),
    ("packed deep arrays", MSGPACK, b"\x91" * 100_000, Unreadable),
    ("packed deep columns", MSGPACK, b"\x81\xa7columns" + b"\x81\xa1a" * 100_000, Unreadable),
    ("packed map as key", MSGPACK, b"\x81\x80\x01", Unreadable),
    ("packed list of 2^32-1", MSGPACK, b"\xdd\xff\xff\xff\xff", Unreadable),
    ("packed map of 2^32-1", MSGPACK, b"\xdf\xff\xff\xff\xff", Unreadable),
    ("packed text of 2^32-1", MSGPACK, b"\xdb\xff\xff\xff\xff", Unreadable),
    ("packed buffer of 2^32-1", MSGPACK, b"\xc6\xff\xff\xff\xff", Unreadable),
    (
        *("packed column of 2^32-1", MSGPACK),
        *(b"\x81\xa7columns\x81\xa8features\x81\xa6amount\xdd\xff\xff\xff\xff\x01", Unreadable),
    ),
    (
        "packed odd buffer",
        MSGPACK,
        packed({"columns": {"features": {"amount": b"1234567"}}}),
        one_refusal("$.columns.features.amount"),
    ),
    (
        "packed odd latency buffer",
        MSGPACK,
        packed({"columns": {"features": {}, "latency_ms": b"123456789"}}),
        one_refusal("$.columns.latency_ms"),
    ),
    (
        *("packed text column as buffer", MSGPACK),
        *(packed({"columns": {"features": {"merchant": packed_floats(1.0)}}}), (1, [])),
    ),
    (
        *("packed buffers of unequal length", MSGPACK),
        *(
            packed({"columns": {"features": {"amount": packed_floats(1, 2), "age": packed_floats(1)}}}),
            (0, [(0, "$.columns.features.age", "invalid")]),
        ),
    ),
    (
        *("packed infinite feature", MSGPACK),
        *(
            packed({"columns": {"features": {"amount": packed_floats(1, math.inf)}}}),
            (2, []),
        ),
    ),
    (
        *("packed infinite category", MSGPACK),
        *(
            packed({"columns": {"features": {"merchant": [math.inf, "a"]}}}),
            (2, []),
        ),
    ),
    (
        *("packed infinite prediction", MSGPACK),
        *(
            packed({"columns": {"features": {}, "prediction": [-math.inf, "a"]}}),
            (2, []),
        ),
    ),
    (
        *("packed infinite latency", MSGPACK),
        *(
            packed({"columns": {"features": {}, "latency_ms": packed_floats(math.inf, 1)}}),
            (1, [(0, "$.latency_ms", "invalid")]),
        ),
    ),
    (
        *("packed negative latency", MSGPACK),
        *(
            packed({"columns": {"features": {}, "latency_ms": packed_floats(2, -1)}}),
            (1, [(1, "$.latency_ms", "invalid")]),
        ),
    ),
    (
        *("packed probability above 1", MSGPACK),
        *(
            packed({"columns": {"features": {}, "probability": packed_floats(1.5, 0.5)}}),
            (1, [(0, "$.probability", "invalid")]),
        ),
    ),
    (
        "packed number as a feature's name",
        MSGPACK,
        packed({"columns": {"features": {5: [1]}}}),
        one_refusal("$.features"),
    ),
    (
        "packed bytes as a feature's name",
        MSGPACK,
        packed({"columns": {"features": {b"x": [1]}}}),
        one_refusal("$.features"),
    ),
    (
        "packed number as a column's name",
        MSGPACK,
        packed({"columns": {"features": {}, 7: [1]}}),
        one_refusal("$.columns"),
    ),
    ("packed number as a key", MSGPACK, packed({"columns": {"features": {"amount": [1]}}, 7: 1}), (1, [])),
    (
        "packed extension in a column",
        MSGPACK,
        b"\x81\xa7columns\x81\xa8features\x81\xa6amount\x91\xd4\x05\x00",
        one_refusal("$.features.amount"),
    ),
    (
        "packed time in a column",
        MSGPACK,
        b"\x81\xa7columns\x81\xa8features\x81\xa8merchant\x91\xd6\xff\x00\x00\x00\x01",
        one_refusal("$.features.merchant"),
    ),
    # coded columns
    *(
        (f"coded column, {name}", MSGPACK, packed({"columns": {"features": {"merchant": column}}}), outcome)
        for name, column, outcome in (
            ("code past the values", coded(["a", "b"], 0, 2), (0, [(0, f"{MERCHANT_AT}.codes", "invalid")])),
            ("code below -1", coded(["a", "b"], 0, -2), (0, [(0, f"{MERCHANT_AT}.codes", "invalid")])),
            ("smallest code there is", coded(["a"], -(2**31)), (0, [(0, f"{MERCHANT_AT}.codes", "invalid")])),
            ("codes and no values", coded([], 0), (0, [(0, f"{MERCHANT_AT}.codes", "invalid")])),
            ("codes of no whole number", coded(["a"], codes=b"12345"), one_refusal(f"{MERCHANT_AT}.codes")),
            ("codes a list", coded(["a"], codes=[0]), one_refusal(f"{MERCHANT_AT}.codes")),
            ("codes a text", coded(["a"], codes="0000"), one_refusal(f"{MERCHANT_AT}.codes")),
            ("codes nil", coded(["a"], codes=None), one_refusal(f"{MERCHANT_AT}.codes")),
            ("nil among the values", coded(["a", None], 0), one_refusal(f"{MERCHANT_AT}.values")),
            ("a number among the values", coded(["a", 1], 0), one_refusal(f"{MERCHANT_AT}.values")),
            ("values a text", coded("ab", 0), one_refusal(f"{MERCHANT_AT}.values")),
            ("values a buffer", coded(b"ab", 0), one_refusal(f"{MERCHANT_AT}.values")),
            ("no codes", {"values": ["a"]}, one_refusal(MERCHANT_AT)),
            ("no values", {"codes": bytes(4)}, one_refusal(MERCHANT_AT)),
            ("something else", coded(["a"], 0, ordered=True), one_refusal(MERCHANT_AT)),
            ("nothing", {}, one_refusal(MERCHANT_AT)),
            (
                "a value that is too long",
                coded(["a", "x" * 21], 0, 1, -1),
                (2, [(1, "$.features.merchant", "invalid")]),
            ),
        )
    ),
    (
        *("coded column of another length", MSGPACK),
        *(
            packed({"columns": {"features": {"amount": packed_floats(1, 2), "merchant": coded(["a"], 0)}}}),
            (0, [(0, "$.columns.features.merchant", "invalid")]),
        ),
    ),
    (
        *("coded column for numbers", MSGPACK),
        *(
            packed({"columns": {"features": {"amount": coded(["a"], 0, -1)}}}),
            (1, [(0, "$.features.amount", "invalid")]),
        ),
    ),
    (
        *("coded column for latency", MSGPACK),
        *(
            packed({"columns": {"features": {}, "latency_ms": coded(["a"], 0)}}),
            (0, [(0, "$.latency_ms", "invalid")]),
        ),
    ),
    (
        *("coded column in JSON", JSON),
        *(
            b'{"columns": {"features": {"merchant": {"values": ["a"], "codes": [0]}}}}',
            one_refusal("$.columns.features.merchant.codes"),
        ),
    ),
]
