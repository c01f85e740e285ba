"""Summaries of parts of the data, from which bins are agreed on that suit all of it.

A summary of a column holds at most `POINTS` numbers or texts with their weights, whatever the size of the part. Numbers
are at equal steps of rank, so a share of values is off by at most 1 / POINTS; with no more distinct values than that,
it is exact. Summaries of parts are put together by adding their weights, which keeps that bound.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from sidecar.base.files import read_regular
from sidecar.data.kinds import Way
from sidecar.reference.counting.counts import Wanted
from sidecar.reference.counting.rows import Column
from sidecar.reference.profile import (
    MOST_BYTES,
    CategoricalProfile,
    FeatureProfile,
    NumericProfile,
    Profile,
    ProfileError,
    Role,
)
from sidecar.statistics.bins import Coded, Floats, edges_around, top_counted

POINTS = 4096


class ColumnSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values of a column, each with how many rows it stands for; `way` says how the column was read, None if empty."""

    name: str
    role: Role
    way: Way | None
    values: list[float | str]
    weights: list[float]


class Summary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="summary", tag_field="kind"):
    """What a part of the data says about where bins should lie."""

    version: Literal[1] = 1
    source: str
    rows: int
    window_rows: int
    columns: list[ColumnSummary]


def summarize(wanted: Wanted, column: Column, way: Way, *, scale: float) -> ColumnSummary:
    """Summarize a column, or a sample of it, of which each row stands for `scale` rows."""
    values: list[float | str]
    if isinstance(column, Coded):
        seen = np.bincount(column.codes[column.codes >= 0], minlength=len(column.texts))
        counted = sorted(zip((-seen).tolist(), column.texts, strict=True))[:POINTS]
        values, weights = [text for count, text in counted if count], [-count * scale for count, _ in counted if count]
        empty = not values
    else:
        numbers = np.asarray(column, dtype=np.float64)
        points, counts = _points(numbers[np.isfinite(numbers)])
        values, weights = points.tolist(), (counts * scale).tolist()
        empty = bool(np.isnan(numbers).all())
    return ColumnSummary(name=wanted.name, role=wanted.role, way=None if empty else way, values=values, weights=weights)


def _points(finite: Floats) -> tuple[Floats, Floats]:
    distinct, counts = np.unique(finite, return_counts=True)
    if distinct.size > POINTS:
        ranks = -(-np.arange(1, POINTS + 1) * finite.size // POINTS) - 1
        distinct, counts = np.unique(np.repeat(distinct, counts)[ranks], return_counts=True)
        return distinct, np.asarray(counts * (finite.size / POINTS), dtype=np.float64)
    return distinct, np.asarray(counts, dtype=np.float64)


def agree(summaries: Sequence[Summary], *, bins: int, categories: int) -> Profile:
    """Choose bins for all parts together and return them as a profile without rows; raises ProfileError."""
    if not summaries:
        raise ProfileError("there are no summaries to choose bins from")
    first = summaries[0]
    keys = [(column.role, column.name) for column in first.columns]
    for other in summaries[1:]:
        odd = set(keys) ^ {(column.role, column.name) for column in other.columns}
        if odd:
            raise ProfileError(f"{min(odd)[1]!r} is in only one of {first.source!r} and {other.source!r}")
    return Profile(
        source=f"bins from {sum(s.rows for s in summaries)} rows in {len(summaries)} parts",
        created=datetime.now(UTC).replace(microsecond=0),
        rows=0,
        window_rows=max(s.window_rows for s in summaries),
        features=tuple(_agreed(key, summaries, bins=bins, categories=categories) for key in keys),
    )


def _agreed(key: tuple[Role, str], summaries: Sequence[Summary], *, bins: int, categories: int) -> FeatureProfile:
    role, name = key
    columns = [next(c for c in s.columns if (c.role, c.name) == key) for s in summaries]
    ways = {column.way: s.source for column, s in zip(columns, summaries, strict=True) if column.way is not None}
    if len(ways) > 1:
        (one, a), (two, b), *_ = ways.items()
        raise ProfileError(
            f"{name!r} is read as {_WORDS[one]} in {a!r} and as {_WORDS[two]} in {b!r}: write it alike everywhere, "
            "or name it as categorical (--categorical)"
        )
    if "number" in ways or (name == "probability" and role == "output"):
        pairs = [(v, w) for c in columns for v, w in zip(c.values, c.weights, strict=True) if isinstance(v, float)]
        edges = weighted_edges(np.array([v for v, _ in pairs]), np.array([w for _, w in pairs]), bins)
        zeros = (0,) * (edges.size + 1)
        return NumericProfile(name=name, role=role, edges=tuple(edges.tolist()), counts=zeros, missing=0)
    totals: dict[str, float] = {}
    for column in columns:
        for value, weight in zip(column.values, column.weights, strict=True):
            totals[str(value)] = totals.get(str(value), 0.0) + weight
    kept = top_counted(totals, categories)
    return CategoricalProfile(name=name, role=role, categories=kept, counts=(0,) * len(kept), other=0, missing=0)


_WORDS: dict[Way | None, str] = {
    "number": "numbers",
    "text": "text",
    "boolean": "booleans",
    "whole": "categories written like 3.0",
    "value": "categories",
    "class": "classes",
}


def weighted_edges(values: Floats, weights: Floats, bins: int) -> Floats:
    """Choose inner edges as `quantile_edges` does, from values that stand for more or less than one row each."""
    distinct, places = np.unique(values, return_inverse=True)
    if distinct.size <= bins:
        return edges_around(distinct, np.bincount(places, weights=weights))
    running = np.cumsum(np.bincount(places, weights=weights))
    targets = np.arange(1, bins) / bins * running[-1]
    if not all(weight.is_integer() for weight in weights.tolist()):
        targets *= 1 - 1e-12  # so that rounding of the sum does not push an edge to the next value
    found = np.searchsorted(running, targets, side="left")
    return np.unique(distinct[found])


def load_summary(path: Path) -> Summary:
    """Read a summary; raises ProfileError."""
    try:
        return msgspec.json.decode(read_regular(path, most_bytes=MOST_BYTES), type=Summary)
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror or error}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: not a summary of data: {error}") from error
