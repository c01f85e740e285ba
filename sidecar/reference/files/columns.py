"""Record batches to columns that bins are chosen from and counted in, and an even sample of them."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sidecar.data.kinds import Way
from sidecar.reference.counting.rows import Column
from sidecar.statistics.bins import Coded, Floats

_SEED = 20_260_101


def to_columns(batch: pa.RecordBatch, ways: Mapping[str, Way]) -> dict[str, Column]:
    """Turn a batch that was read in these ways into columns by name."""
    columns: dict[str, Column] = {}
    for name, array in zip(ways, batch.columns, strict=True):
        if ways[name] in ("number", "time"):
            columns[name] = array.to_numpy(zero_copy_only=False)
        else:
            coded = array.dictionary_encode()
            codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.intp)
            columns[name] = Coded(coded.dictionary.to_pylist(), codes)
    return columns


class Sample:
    """An even sample of a known number of rows: one row of each of `most` equal stretches, chosen by a fixed seed.

    It is all rows where there are no more than `most`. The same rows in the same order give the same sample, however
    they are cut into batches.
    """

    def __init__(self, rows: int, most: int) -> None:
        self.complete = rows <= most
        if self.complete:
            self._picks = np.arange(rows)
        else:
            starts = np.array([i * rows // most for i in range(most + 1)], dtype=np.int64)
            self._picks = np.random.default_rng(_SEED).integers(starts[:-1], starts[1:])
        self._seen = 0
        self._numbers: dict[str, list[Floats]] = {}
        self._codes: dict[str, list[NDArray[np.intp]]] = {}
        self._texts: dict[str, dict[str, int]] = {}

    def add(self, columns: Mapping[str, Column]) -> None:
        """Keep the rows of a batch that are in the sample."""
        rows = len(next(iter(columns.values())))
        first, last = np.searchsorted(self._picks, (self._seen, self._seen + rows))
        picked = self._picks[first:last] - self._seen
        self._seen += rows
        for name, column in columns.items():
            if isinstance(column, Coded):
                self._codes.setdefault(name, []).append(self._recode(name, column, picked))
            else:
                self._numbers.setdefault(name, []).append(np.asarray(column, dtype=np.float64)[picked])

    def _recode(self, name: str, column: Coded, picked: NDArray[np.int64]) -> NDArray[np.intp]:
        codes = column.codes[picked]
        texts = self._texts.setdefault(name, {})
        table = np.full(len(column.texts) + 1, -1, dtype=np.intp)
        for code in np.unique(codes[codes >= 0]).tolist():
            table[code] = texts.setdefault(column.texts[code], len(texts))
        return np.asarray(table[codes])

    def columns(self) -> dict[str, Column]:
        """Return the sample, column by column."""
        found: dict[str, Column] = {name: np.concatenate(chunks) for name, chunks in self._numbers.items()}
        for name, codes in self._codes.items():
            found[name] = Coded(list(self._texts[name]), np.concatenate(codes))
        return found
