"""Numbers and None to arrays of float64, in which NaN is missing.

They are packed as MessagePack first, where a float is one byte and its eight and None is one byte: msgspec writes that
at half the cost of `struct` and a sixth of that of numpy, and the length tells whether a number is missing.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.statistics.bins import Floats

_ENCODER = msgspec.msgpack.Encoder()
_FLOAT_BYTES = 9


def column(values: Sequence[float | None]) -> Floats:
    """Turn values into an array; each is a float, and no integer, or None.

    >>> column([1.0, None])
    array([ 1., nan])
    """
    found = _table([values])
    if found is None:
        found = _table([[math.nan if value is None else value for value in values]])
        assert found is not None  # for the type checker
    floats: Floats = found[0].astype(np.float64)
    return floats


def columns(rows: Sequence[Sequence[float | None]], width: int) -> Floats:
    """Turn rows of `width` values into an array of shape `(width, len(rows))`.

    >>> columns([(1.0, 2.0), (None, 4.0)], 2)
    array([[ 1., nan],
           [ 2.,  4.]])
    """
    found = _table(rows) if rows else None
    if found is not None:
        floats: Floats = found.T.astype(np.float64, order="C")
        return floats
    result = np.empty((width, len(rows)))
    for i, values in enumerate(zip(*rows, strict=True)):
        result[i] = column(values)
    return result


def _table(rows: Sequence[Sequence[float | None]]) -> NDArray[Any] | None:
    """Return the values of rows of one length, in their packed form; None where one is missing."""
    width = len(rows[0])
    if not width:
        return np.empty((len(rows), 0))
    packed = _ENCODER.encode(rows)
    begin, row_head = _head_bytes(len(rows)), _head_bytes(width)
    row_bytes = row_head + width * _FLOAT_BYTES
    if len(packed) != begin + len(rows) * row_bytes:
        return None
    first = begin + row_head + 1
    return np.ndarray((len(rows), width), ">f8", packed, first, (row_bytes, _FLOAT_BYTES))


def _head_bytes(length: int) -> int:
    """Return how many bytes MessagePack writes before the items of a list."""
    return 1 if length < 16 else 3 if length < 2**16 else 5
