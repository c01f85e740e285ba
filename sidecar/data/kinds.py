"""Kinds of columns: SQL that counts what a column holds, and SQL that reads it in one way.

CSV holds text alone, so a column is what all of its texts can be read as; JSON says the kind of every value; Parquet
says that of the column. `v` is the SQL name of a column.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

Form = Literal["csv", "parquet", "json"]

Decimal = Literal[".", ","]

Kind = Literal["number", "text", "boolean", "time", "nested", "empty", "mixed"]

Way = Literal["number", "text", "boolean", "whole", "value", "class", "time"]
"""How to read a column: `number` gives float64 with NaN for missing and infinite values, `time` the same in seconds of
Unix time, the others text with NULL.

`boolean` gives `true` and `false`; `value` any kind as text, numbers as `category_text` writes them, but for CSV, whose
text stays as it is; `class` numbers of CSV, too, as `category_text` writes them; `whole` is for columns of CSV in which
every number is written like `3.0`, as programs do that have no missing integers.
"""

_INTEGERS = ("tinyint", "smallint", "integer", "bigint", "hugeint")
_NUMBERS = frozenset((*_INTEGERS, *(f"u{name}" for name in _INTEGERS), "float", "double", "decimal", "bignum"))
_TEXTS = frozenset(("varchar", "enum", "uuid"))
_NO_JSON_NUMBERS = "('VARCHAR', 'BOOLEAN', 'ARRAY', 'OBJECT')"
_GROUPING = r"[. \x{00A0}\x{202F}'']"
_NESTED = frozenset(("struct", "tuple", "list", "array", "map", "union", "blob", "bit", "variant", "geometry"))


@dataclass(frozen=True, slots=True)
class Writing:
    """How values are written where a file does not say.

    `nulls` are texts that mean missing. `decimal` is the mark of decimals in CSV. `times` is the format of times in
    texts, as of strptime; without it, they are as in ISO 8601.
    """

    nulls: tuple[str, ...] = ()
    decimal: Decimal = "."
    times: str | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many values of a column are of which kind; `values` counts all that are not missing.

    `words` are `nan` and `inf` as text, `wholes` numbers written like `3.0`; `nested` also counts bytes.
    """

    values: int = 0
    numbers: int = 0
    words: int = 0
    booleans: int = 0
    times: int = 0
    nested: int = 0
    wholes: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Tally)))

    @property
    def kind(self) -> Kind:
        """What the column is, by all of its values."""
        if not self.values:
            return "empty"
        if self.nested:
            return "nested"
        if self.numbers + self.words == self.values:
            return "number"
        if self.booleans == self.values:
            return "boolean"
        if self.times == self.values:
            return "time"
        return "mixed" if self.numbers else "text"


def cleaned(form: Form, type_name: str, v: str, *, nulls: bool) -> str:
    """Return SQL in which the texts of `$nulls`, and the null of JSON, are NULL."""
    if form == "json":
        null = f"json_type({v}) = 'NULL'"
        if nulls:
            null += f" OR (json_type({v}) = 'VARCHAR' AND list_contains($nulls, {v} ->> '$'))"
        return f"CASE WHEN {null} THEN NULL ELSE {v} END"
    if form == "parquet" and nulls and type_name in _TEXTS:
        return f"CASE WHEN list_contains($nulls, CAST({v} AS VARCHAR)) THEN NULL ELSE {v} END"
    return v  # nulls of CSV are an option of its reader


def judged(form: Form, v: str, writing: Writing) -> str:
    """Return SQL for what `counts` needs to know of each value."""
    if form == "csv":
        return _csv_number(v, writing)
    return f"json_type({v})" if form == "json" else "NULL"


def counts(form: Form, type_name: str, v: str, judgement: str, writing: Writing) -> Sequence[str]:
    """Return SQL of aggregates, one for each field of Tally; `judgement` names what `judged` gave."""
    j = judgement
    if form == "csv":
        return (
            f"count({v})",
            _count_where(f"isfinite({j})"),
            _count_where(f"NOT isfinite({j})"),
            _count_where(f"CASE WHEN {v} IS NOT NULL AND {j} IS NULL THEN lower({v}) IN ('true', 'false') END"),
            f"count(CASE WHEN {j} IS NULL AND {_begins_with_digit(v)} THEN TRY_CAST({v} AS TIMESTAMP) END)",
            "0",
            _count_where(f"isfinite({j}) AND suffix({v}, '{writing.decimal}0')"),
        )
    if form == "json":
        return (
            f"count({v})",
            _count_where(f"{j} NOT IN {_NO_JSON_NUMBERS}"),
            "0",
            _count_where(f"{j} = 'BOOLEAN'"),
            f"count(TRY_CAST(CASE WHEN {j} = 'VARCHAR' THEN {v} ->> '$' END AS TIMESTAMP))",
            _count_where(f"{j} IN ('ARRAY', 'OBJECT')"),
            "0",
        )
    kind = _parquet_field(type_name)
    return [f"count({v})" if name in ("values", kind) else "0" for name in (f.name for f in fields(Tally))]


def fits(form: Form, type_name: str, v: str, way: Way, writing: Writing) -> str:
    """Return SQL that says whether a non-null value can be read as a number, a boolean or a time."""
    if way == "time":
        if form == "parquet" and type_name not in _TEXTS:
            return "TRUE" if type_name.startswith(("timestamp", "date")) else "FALSE"
        return f"{_time_of_text(text_of(form, v), writing)} IS NOT NULL"
    if way == "boolean":
        return {
            "csv": f"lower({v}) IN ('true', 'false')",
            "json": f"json_type({v}) = 'BOOLEAN'",
            "parquet": "TRUE" if type_name == "boolean" else "FALSE",
        }[form]
    assert way == "number"
    return {
        "csv": f"{_csv_number(v, writing)} IS NOT NULL",
        "json": f"json_type({v}) NOT IN {_NO_JSON_NUMBERS}",
        "parquet": "TRUE" if type_name in _NUMBERS else "FALSE",
    }[form]


def number_of(form: Form, v: str, writing: Writing) -> str:
    """Return SQL for the value as a number; NULL if it is not one."""
    return _csv_number(v, writing) if form == "csv" else f"TRY_CAST({v} AS DOUBLE)"


def text_of(form: Form, v: str) -> str:
    """Return SQL for the text of a value."""
    return {"csv": v, "json": f"({v} ->> '$')", "parquet": f"CAST({v} AS VARCHAR)"}[form]


def _csv_number(v: str, writing: Writing) -> str:
    """Return SQL that reads a text as a number; NULL if it is not one.

    With a decimal comma, points, spaces and apostrophes may group the digits before it by three.
    """
    if writing.decimal == ".":
        return f"TRY_CAST({v} AS DOUBLE)"
    grouped = rf"regexp_full_match(trim({v}), '[-+]?\d{{1,3}}({_GROUPING}\d{{3}})+(,\d+)?')"
    digits = f"CASE WHEN {grouped} THEN regexp_replace(trim({v}), '{_GROUPING}', '', 'g') ELSE {v} END"
    return f"TRY_CAST(CASE WHEN NOT contains({v}, '.') OR {grouped} THEN replace({digits}, ',', '.') END AS DOUBLE)"


def _time_of_text(text: str, writing: Writing) -> str:
    if writing.times is not None:
        return f"try_strptime({text}, $times)"
    return f"TRY_CAST({text} AS TIMESTAMPTZ)"  # of which the session says UTC where the text has no zone


def _count_where(condition: str) -> str:
    # Not `count(*) FILTER`, of which each takes memory for all columns: quadratic in their number.
    return f"count(CASE WHEN {condition} THEN 1 END)"


def _begins_with_digit(v: str) -> str:
    return f"{v} >= '0' AND {v} < ':'"  # a cheap guard: trying the clock on words takes longer than all else


def _parquet_field(type_name: str) -> str:
    if type_name in _NUMBERS:
        return "numbers"
    if type_name == "boolean":
        return "booleans"
    if type_name in _NESTED:
        return "nested"
    return "texts" if type_name in _TEXTS else "times"


def read(form: Form, type_name: str, v: str, way: Way, writing: Writing) -> str:
    """Return SQL that reads a cleaned column in one way."""
    text = text_of(form, v)
    if way == "number":
        number = number_of(form, v, writing)
        return f"CASE WHEN isfinite({number}) THEN {number} ELSE 'nan'::DOUBLE END"
    if way == "time":
        times = v if form == "parquet" and type_name not in _TEXTS else _time_of_text(text, writing)
        return f"coalesce(epoch({times}), 'nan'::DOUBLE)"
    if type_name.startswith("timestamp"):
        return f"replace(CAST({v} AS VARCHAR), ' ', 'T')"
    if way == "boolean":
        return f"lower({text})"
    if way == "class":
        return _shortest(number_of(form, v, writing))
    if way == "whole" and form == "csv":
        return rf"regexp_replace({v}, '[{writing.decimal}]0$', '')"
    if way in ("value", "whole") and form == "json":
        return f"CASE WHEN json_type({v}) = 'DOUBLE' THEN {_shortest(f'TRY_CAST({v} AS DOUBLE)')} ELSE {text} END"
    if way in ("value", "whole") and type_name in ("float", "double", "decimal"):
        return _shortest(f"CAST({v} AS DOUBLE)")
    return text


def _shortest(number: str) -> str:
    """Return SQL for the shortest text of a number, as `sidecar.statistics.bins.category_text` writes it."""
    whole = f"{number} = trunc({number}) AND abs({number}) < 1e16"
    return (
        f"CASE WHEN NOT isfinite({number}) THEN NULL WHEN {whole} THEN CAST(CAST({number} AS BIGINT) AS VARCHAR) "
        f"ELSE CAST({number} AS VARCHAR) END"
    )
