"""What a sample of data shows beyond kinds: columns that identify rows, and numbers in other writings."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from sidecar.data.kinds import Way
from sidecar.data.numerals import advice, writing_of
from sidecar.data.table import Table
from sidecar.reference.counting.counts import Wanted
from sidecar.reference.counting.rows import Column
from sidecar.reference.counting.times import Notice
from sidecar.reference.files.column_choice import Choice
from sidecar.statistics.bins import Coded

_LEAST_VALUES = 100
"""Values below which a column may hold different ones by chance."""

_NEARLY_ALL = 0.99
_NAME = re.compile(r"(^|_|\b)(id|uuid|guid|key)$|[a-z]I[dD]$", re.ASCII)


def without_identifiers(
    wanted: Sequence[Wanted], columns: Mapping[str, Column], choice: Choice, notice: Notice
) -> list[Wanted]:
    """Leave out inputs of which nearly every text is different, unless they are named.

    Whole numbers that look like identifiers are kept, as they may be none, and named in a notice.
    """
    kept = []
    for w in wanted:
        column = columns[w.column]
        if w.role == "output" or w.column in choice.named:
            kept.append(w)
        elif isinstance(column, Coded):
            if _different(column.codes[column.codes >= 0]):
                notice(
                    f"column {w.column!r} is left out: nearly every text in it is different, as of identifiers; "
                    "name it in --features to keep it"
                )
            else:
                kept.append(w)
        else:
            kept.append(w)
            if _numbers_rows(w.column, np.asarray(column, dtype=np.float64)):
                notice(
                    f"column {w.column!r} holds a different whole number in nearly every row: "
                    f"if it identifies rows, say --id {w.column}"
                )
    return kept


def _different(values: np.ndarray[tuple[int], np.dtype[np.generic]]) -> bool:
    return values.size >= _LEAST_VALUES and np.unique(values).size >= _NEARLY_ALL * values.size


def _numbers_rows(name: str, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    there = values[~np.isnan(values)]
    if not (there == np.trunc(there)).all() or not _different(there):
        return False
    return bool(_NAME.search(name)) or bool((np.diff(there) > 0).all())


def tell_of_numerals(table: Table, columns: Mapping[str, Column], ways: Mapping[str, Way], notice: Notice) -> None:
    """Say which columns of text, or a sample of them, hold numbers in a writing that is not read as one."""
    for name, texts in columns.items():
        if ways[name] != "text" or not isinstance(texts, Coded):
            continue
        seen = np.bincount(texts.codes[texts.codes >= 0], minlength=len(texts.texts))
        counts = {text: count for text, count in zip(texts.texts, seen.tolist(), strict=True) if count}
        if (writing := writing_of(counts)) is not None:
            advised = advice(writing) if any(file.form == "csv" for file in table.files) else "write them as numbers"
            notice(
                f"column {name!r} is taken for text, but holds numbers with {writing}, such as {next(iter(counts))!r}: "
                f"{advised}, or name it as categorical (--categorical)"
            )
