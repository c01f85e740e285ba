"""Learn a reference from the first events: keep their columns, then build a profile of them."""

from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.config import Learn
from sidecar.events.batch import Batch, Key
from sidecar.reference.build import WINDOW_ROWS
from sidecar.reference.counting.counts import FeatureSpec, Wanted
from sidecar.reference.counting.rows import Counting, block_rows, spec_of
from sidecar.reference.profile import OUTPUTS, Profile, Role
from sidecar.statistics.bins import CategoricalBins, Category, category_text, top_categories
from sidecar.statistics.buffers import StateError, buffer, from_buffer

MOST_VALUES = 4_000_000
"""Values kept at the most: past this many, learning ends with fewer events."""

MOST_DISTINCT = 1000
"""Distinct texts of one feature that are kept; later ones are `other`."""

_OTHER_TEXT = "\0other"
_MISSING, _OTHER = -1, -2


class LearnerState(msgspec.Struct, frozen=True):
    """What a Learner holds: its columns of numbers, and those of codes of texts."""

    rows: int
    numbers: list[tuple[Key, memoryview]]
    codes: list[tuple[Key, memoryview]]
    texts: list[list[str]]


class _Column:
    """A column that grows at its end. What it held is never changed, so that it can be read later without a copy."""

    def __init__(self, rows: NDArray[Any]) -> None:
        self._values = rows
        self._rows = rows.size

    def extend(self, rows: NDArray[Any]) -> None:
        """Add rows at the end."""
        end = self._rows + rows.size
        if end > self._values.size:
            grown = np.empty(max(end, 64, self._values.size * 3 // 2), self._values.dtype)
            grown[: self._rows] = self.rows()
            self._values = grown
        self._values[self._rows : end] = rows
        self._rows = end

    def rows(self) -> NDArray[Any]:
        """Return the rows so far. A view, which later rows do not change."""
        return self._values[: self._rows]


class Learner:
    """Collect rows until there are enough for a profile."""

    def __init__(self, settings: Learn) -> None:
        self._settings = settings
        self._numbers: dict[Key, _Column] = {}
        self._codes: dict[Key, _Column] = {}
        self._texts: dict[Key, dict[str, int]] = {}
        self.rows = 0

    @property
    def wanted_rows(self) -> int:
        """Rows that make a reference: as configured, or fewer where so many columns would not fit in memory."""
        columns = max(1, len(self._numbers) + len(self._codes))
        return min(self._settings.events, max(100, MOST_VALUES // columns))

    @property
    def complete(self) -> bool:
        """Whether there are enough rows."""
        return self.rows >= self.wanted_rows

    def add(self, batch: Batch) -> int:
        """Keep the rows of a batch that are still wanted, and return how many were used up.

        Rows are kept from the first on that holds any value.
        """
        first = 0 if self.rows else _first_with_value(batch)
        if first == batch.rows:
            return first
        for key in (*batch.schema.numeric, *batch.schema.categorical):
            self._begin(key, categorical=key in batch.schema.categorical)
        rows = min(batch.rows - first, max(0, self.wanted_rows - self.rows))
        kept = slice(first, first + rows)
        numbers = dict(zip(batch.schema.numeric, batch.numeric, strict=True))
        for key, column in self._numbers.items():
            column.extend(numbers[key][kept] if key in numbers else np.full(rows, np.nan))
        texts = dict(zip(batch.schema.categorical, batch.categorical, strict=True))
        for key, codes in self._codes.items():
            values = texts[key][kept] if key in texts else (None,) * rows
            codes.extend(np.fromiter((self._code(key, value) for value in values), np.int32, rows))
        self.rows += rows
        return kept.stop

    def _begin(self, key: Key, *, categorical: bool) -> None:
        """Begin a column, missing in the rows so far."""
        if categorical and key not in self._codes:
            self._codes[key] = _Column(np.full(self.rows, _MISSING, dtype=np.int32))
            self._texts[key] = {}
        elif not categorical and key not in self._numbers:
            self._numbers[key] = _Column(np.full(self.rows, np.nan))

    def _code(self, key: Key, value: Category) -> int:
        if value is None:
            return _MISSING
        texts = self._texts[key]
        text = category_text(value)
        if text not in texts and len(texts) >= MOST_DISTINCT:
            return _OTHER
        return texts.setdefault(text, len(texts))

    def state(self) -> LearnerState:
        """Return everything that `restore` wants; the arrays are not changed later."""
        return LearnerState(
            rows=self.rows,
            numbers=[(key, buffer(column.rows(), "<f8")) for key, column in self._numbers.items()],
            codes=[(key, buffer(column.rows(), "<i4")) for key, column in self._codes.items()],
            texts=[list(self._texts[key]) for key in self._codes],
        )

    def restore(self, state: LearnerState) -> None:
        """Go on from a state of a learner with the same settings; raises StateError where it cannot be one."""
        self._numbers = {key: _Column(from_buffer(data, "<f8", state.rows)) for key, data in state.numbers}
        self._codes = {key: _Column(from_buffer(data, "<i4", state.rows)) for key, data in state.codes}
        if len(state.texts) != len(self._codes):
            raise StateError(f"texts of {len(state.texts)} columns where there are {len(self._codes)}")
        self._texts = {
            key: {text: code for code, text in enumerate(texts)}
            for key, texts in zip(self._codes, state.texts, strict=True)
        }
        self.rows = state.rows

    def profile(self, *, model: str, model_version: str, created: datetime) -> Profile:
        """Build the profile of the rows kept. Columns that never held a value are left out."""
        specs, columns = [], {}
        for key, grown in self._numbers.items():
            numbers = grown.rows()
            if not np.isnan(numbers).all():
                wanted = _wanted(key)
                columns[wanted.column] = numbers
                specs.append(spec_of(wanted, numbers, bins=self._settings.bins, categories=0))
        texts: dict[str, list[str | None]] = {}
        for key, codes in self._codes.items():
            column = self._text_column(key, codes.rows())
            if any(text is not None for text in column):
                wanted = _wanted(key)
                texts[wanted.column] = column
                known = (text for text in column if text is not None and text != _OTHER_TEXT)
                specs.append(FeatureSpec(wanted, CategoricalBins(top_categories(known, self._settings.categories))))
        specs.sort(key=lambda spec: spec.wanted.role)
        counting = Counting(specs, window_rows=block_rows(WINDOW_ROWS, self.rows))
        counting.add({**columns, **texts})
        return counting.profile(model=model, model_version=model_version, source="learned", created=created)

    def _text_column(self, key: Key, codes: NDArray[np.int32]) -> list[str | None]:
        names: list[str | None] = [*self._texts[key], _OTHER_TEXT, None]
        return [names[code] for code in codes.tolist()]


def _first_with_value(batch: Batch) -> int:
    present = ~np.isnan(batch.numeric).all(axis=0)
    for column in batch.categorical:
        present |= np.fromiter((value is not None for value in column), np.bool_, batch.rows)
    return int(present.argmax()) if present.any() else batch.rows


def _wanted(key: Key) -> Wanted:
    role: Role = "output" if key.role == "output" else "input"
    assert role == "input" or key.name in OUTPUTS
    return Wanted(column=f"{key.role}:{key.name}", name=key.name, role=role)
