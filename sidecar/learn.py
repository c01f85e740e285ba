"""Learn a reference from the first events: keep their columns, then build a profile of them."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from sidecar.bins import CategoricalBins, Category, Floats, category_text, top_categories
from sidecar.config import Learn
from sidecar.event import Batch, Key
from sidecar.reference.build import WINDOW_ROWS
from sidecar.reference.counting import Counting, FeatureSpec, Wanted, block_rows, spec_of
from sidecar.reference.profile import OUTPUTS, Profile, Role

MOST_VALUES = 4_000_000
"""Values kept at the most: past this many, learning ends with fewer events."""

MOST_DISTINCT = 1000
"""Distinct texts of one feature that are told apart; what comes after them is `other`."""

_OTHER_TEXT = "\0other"
_MISSING, _OTHER = -1, -2


class Learner:
    """Collect rows until there are enough for a profile."""

    def __init__(self, settings: Learn) -> None:
        self._settings = settings
        self._numbers: dict[Key, list[Floats]] = {}
        self._codes: dict[Key, list[NDArray[np.int32]]] = {}
        self._texts: dict[Key, dict[str, int]] = {}
        self.rows = 0

    @property
    def wanted_rows(self) -> int:
        """Number of rows that make a reference: as configured, or fewer where memory would not hold so many columns."""
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
        for key, chunks in self._numbers.items():
            chunks.append(numbers[key][kept].copy() if key in numbers else np.full(rows, np.nan))
        texts = dict(zip(batch.schema.categorical, batch.categorical, strict=True))
        for key, codes in self._codes.items():
            values = texts[key][kept] if key in texts else (None,) * rows
            codes.append(np.fromiter((self._code(key, value) for value in values), np.int32, rows))
        self.rows += rows
        return kept.stop

    def _begin(self, key: Key, *, categorical: bool) -> None:
        """Begin a column, missing in the rows so far."""
        if categorical and key not in self._codes:
            self._codes[key] = [np.full(self.rows, _MISSING, dtype=np.int32)]
            self._texts[key] = {}
        elif not categorical and key not in self._numbers:
            self._numbers[key] = [np.full(self.rows, np.nan)]

    def _code(self, key: Key, value: Category) -> int:
        if value is None:
            return _MISSING
        texts = self._texts[key]
        text = category_text(value)
        if text not in texts and len(texts) >= MOST_DISTINCT:
            return _OTHER
        return texts.setdefault(text, len(texts))

    def profile(self, *, model: str, model_version: str, created: datetime) -> Profile:
        """Build the profile of the rows kept. Columns that never held a value are left out."""
        specs, columns = [], {}
        for key, chunks in self._numbers.items():
            numbers = np.concatenate(chunks)
            if not np.isnan(numbers).all():
                wanted = _wanted(key)
                columns[wanted.column] = numbers
                specs.append(spec_of(wanted, numbers, bins=self._settings.bins, categories=0))
        texts: dict[str, list[str | None]] = {}
        for key, codes in self._codes.items():
            column = self._text_column(key, np.concatenate(codes))
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
