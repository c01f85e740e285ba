"""Arrays as plain bytes, little-endian, to be kept in a file, and back."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray


class StateError(Exception):
    """What is to be restored does not fit; the message says why in one sentence."""


def buffer(array: NDArray[Any], kind: str) -> memoryview:
    """Return the values of an array as bytes of a little-endian `kind` such as `<i8`: a view where it can be."""
    return np.ascontiguousarray(array, dtype=kind).reshape(-1).view(np.uint8).data


def from_buffer(data: memoryview, kind: str, *shape: int) -> NDArray[Any]:
    """Return a new array of these values; raises StateError if their number does not match `shape`."""
    if data.nbytes != prod(shape) * np.dtype(kind).itemsize:
        raise StateError(f"an array has {data.nbytes} bytes, not those of shape {shape} of {kind}")
    return np.frombuffer(data, kind).reshape(shape).astype(np.dtype(kind).newbyteorder("="))
