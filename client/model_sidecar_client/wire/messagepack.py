"""Columns in MessagePack, which is shorter than JSON and cheaper for both ends: numbers are buffers of float64.

Written out here because an application should need no library for it. The format: https://github.com/msgpack/msgpack
"""

import sys
from array import array
from collections.abc import Mapping, Sequence
from math import isfinite, nan
from struct import pack
from typing import Any

_NONE = type(None)
_BEYOND_EXACT = 2**53
"""Whole numbers of at least this size need not be the same number as a float64."""


def column(values: Sequence[Any]) -> bytes:
    """Return the values of a column, which are text, booleans, numbers and None; NaN and the infinities are missing.

    Raises OverflowError for a number beyond float64, UnicodeEncodeError for half a surrogate pair.
    """
    kinds = set(map(type, values))
    if kinds <= {int, float, _NONE} and kinds != {_NONE} and _exact(values, kinds):
        return _buffer(values, kinds)
    head = _head(len(values), 0x90, 16, b"\xdc", b"\xdd")
    if kinds <= {str, _NONE} or kinds == {bool}:
        # Values come again and again, and those that are equal are of one kind.
        written = {value: _value(value) for value in set(values)}
        return head + b"".join(map(written.__getitem__, values))
    return head + b"".join(map(_value, values))


def mapping(packed: Mapping[str, bytes]) -> bytes:
    """Return an object of what has been packed already."""
    pairs = [text(name) + value for name, value in packed.items()]
    return _head(len(pairs), 0x80, 16, b"\xde", b"\xdf") + b"".join(pairs)


def text(value: str) -> bytes:
    """Return a text; raises UnicodeEncodeError for half a surrogate pair."""
    content = str.encode(value)
    return _head(len(content), 0xA0, 32, b"\xda", b"\xdb") + content


def _exact(values: Sequence[Any], kinds: set[type]) -> bool:
    if int not in kinds:
        return True
    whole = values if kinds == {int} else [value for value in values if type(value) is int]
    return min(whole) > -_BEYOND_EXACT and max(whole) < _BEYOND_EXACT


def _buffer(values: Sequence[Any], kinds: set[type]) -> bytes:
    if _NONE in kinds or not isfinite(sum(values)):
        values = [nan if value is None or not isfinite(value) else value for value in values]
    numbers = array("d", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return pack(">BI", 0xC6, 8 * len(numbers)) + numbers.tobytes()


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if value is None or not isfinite(value):
        return b"\xc0"
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return pack(">Bq", 0xD3, value)
    return pack(">Bd", 0xCB, value)


def _head(length: int, short: int, below: int, two_bytes: bytes, four_bytes: bytes) -> bytes:
    if length < below:
        return bytes((short | length,))
    if length < 2**16:
        return two_bytes + pack(">H", length)
    return four_bytes + pack(">I", length)
