"""Numbers: values and None become the same floats, whatever their number and wherever one is missing."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.statistics import float_columns
from sidecar.statistics.bins import Floats

VALUES = st.none() | st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0, 5e-324, 1.7976931348623157e308])
ROWS = st.integers(0, 20).flatmap(lambda width: st.lists(st.tuples(*[VALUES] * width), min_size=1, max_size=20))


def _bits(array: Floats) -> bytes:
    bits: bytes = array.tobytes()
    return bits


def _oracle(values: list[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


@given(st.lists(VALUES, max_size=40))
def test_a_column_holds_each_value_to_the_bit(values: list[float | None]) -> None:
    assert _bits(float_columns.column(values)) == _bits(_oracle(values))
    assert float_columns.column(tuple(values)).dtype == np.float64


@given(ROWS)
def test_rows_become_columns_to_the_bit(rows: list[tuple[float | None, ...]]) -> None:
    found = float_columns.columns(rows, len(rows[0]))
    assert found.shape == (len(rows[0]), len(rows))
    assert found.flags.c_contiguous
    assert [_bits(column) for column in found] == [_bits(_oracle(list(c))) for c in zip(*rows, strict=True)]


@pytest.mark.parametrize("count", [1, 15, 16, 65_535, 65_536, 65_537])
@pytest.mark.parametrize("missing", [False, True])
def test_any_number_of_values_may_come(count: int, missing: bool) -> None:
    values: list[float | None] = [i / 3 for i in range(count)]
    if missing:
        values[-1] = None
    expected = _oracle(values)
    assert _bits(float_columns.column(values)) == _bits(expected)
    assert _bits(float_columns.columns([tuple(values)], count)) == _bits(expected)
    assert _bits(float_columns.columns([(value,) for value in values], 1)) == _bits(expected)


def test_without_rows_there_are_columns_of_nothing() -> None:
    assert float_columns.columns([], 3).shape == (3, 0)
    assert float_columns.columns([(), ()], 0).shape == (0, 2)
    assert float_columns.column([]).shape == (0,)


@pytest.mark.parametrize("number", [7, -(2**63), 2**64 - 1, 7.0])
def test_what_is_decoded_as_a_float_is_never_an_integer(number: float) -> None:
    """An integer would be packed in another form, some in one of the same length."""
    kind = float | None
    assert type(msgspec.json.decode(msgspec.json.encode(number), type=kind)) is float
    assert type(msgspec.msgpack.decode(msgspec.msgpack.encode(number), type=kind)) is float
    assert type(msgspec.convert(number, kind)) is float
