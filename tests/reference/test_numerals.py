"""Numbers that files write in other ways than programs do."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from sidecar.cli.replay.rows import Rows
from sidecar.data.kinds import Writing
from sidecar.reference import CategoricalProfile, NumericProfile, ProfileError, files

VALUES = [-1234.5, 0.25, 7, 1234567.875, 12.5, 999, *(i + 0.5 for i in range(100))]


def csv(tmp_path: Path, cells: list[str]) -> Path:
    path = tmp_path / "x.csv"
    path.write_text("amount;y\n" + "".join(f"{cell};{i}\n" for i, cell in enumerate(cells)), encoding="utf-8")
    return path


def with_comma(value: float, *, group: str = "") -> str:
    return f"{value:,}".replace(",", "_").replace(".", ",").replace("_", group)


@pytest.mark.parametrize("group", ["", ".", " ", "'", "\u00a0", "\u202f"])
def test_numbers_with_a_decimal_comma_are_those_with_a_point(tmp_path: Path, group: str) -> None:
    path = csv(tmp_path, [with_comma(value, group=group) for value in VALUES])
    [found, _] = files.build([path], decimal=",").features
    [expected, _] = files.build([csv(tmp_path, [str(value) for value in VALUES])]).features
    assert isinstance(found, NumericProfile)
    assert found == expected


def test_a_decimal_comma_makes_no_number_of_what_is_none(tmp_path: Path) -> None:
    [found, _] = files.build([csv(tmp_path, ["3.5", "1.23", "1,2,3", "1.2.3,4"])], decimal=",").features
    assert isinstance(found, CategoricalProfile)


def test_whole_numbers_with_a_decimal_comma_are_categories_without(tmp_path: Path) -> None:
    [found, _] = files.build([csv(tmp_path, ["1,0", "2,0", ""])], decimal=",", categorical=["amount"]).features
    assert isinstance(found, CategoricalProfile)
    assert found.categories == ("1", "2")


def test_replay_sends_numbers_with_a_decimal_comma(tmp_path: Path) -> None:
    rows = Rows([csv(tmp_path, ["1,5", "", "-2.000,25"])], others={}, writing=Writing(decimal=","))
    [events] = rows.bodies(10)
    assert events.features["amount"] == [1.5, None, -2000.25]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["1,5", "22,75", "3,0"], "numbers with a decimal comma, such as '1,5': say --decimal ,"),
        (["1.234,50", "7,25"], "numbers with a decimal comma, such as '1.234,50': say --decimal ,"),
        (["1,234", "12,000.50"], "numbers with a comma between thousands, such as '1,234': write them without"),
        (["1 234", "12 000.50"], "numbers with spaces or apostrophes between thousands, such as '1 234'"),
        (["12 %", "3.5%"], "numbers with a percent sign, such as '12 %'"),
        (["$1.50", "$ 1,000"], "numbers with a currency, such as '$1.50'"),
        (["1,50 €", "2,00 €"], "numbers with a currency, such as '1,50 €'"),
        (["EUR 3", "USD 4.5"], "numbers with a currency, such as 'EUR 3'"),
        (["(12.50)", "(3)"], "numbers with parentheses around negative ones, such as '(12.50)'"),
    ],
)
def test_a_column_of_numbers_in_another_writing_is_named(tmp_path: Path, cells: list[str], told: str) -> None:
    notices: list[str] = []
    files.build([csv(tmp_path, cells)], notice=notices.append)
    assert any(notice.startswith(f"column 'amount' is taken for text, but holds {told}") for notice in notices)


def test_so_is_one_of_parquet_but_no_text_that_says_something_else(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    notices: list[str] = []
    columns = {
        "amount": ["1,5", "2,5"],
        "flight": ["LH123", "LH456"],
        "zip": ["10115", "20095"],
        "day": ["1.2.", "2.3."],
    }
    pa.parquet.write_table(pa.table(columns), path)
    files.build([path], notice=notices.append)
    [told] = [notice for notice in notices if "taken for text" in notice]
    assert told.startswith("column 'amount' is taken for text, but holds numbers with a decimal comma, such as '1,5'")
    assert "write them as numbers" in told


def test_what_is_named_as_categorical_is_not_named_again(tmp_path: Path) -> None:
    notices: list[str] = []
    files.build([csv(tmp_path, ["1,5", "2,5"])], categorical=["amount"], notice=notices.append)
    assert not any("amount" in notice for notice in notices)


def test_errors_name_the_option(tmp_path: Path) -> None:
    path = csv(tmp_path, ["1,5", "2"])
    with pytest.raises(ProfileError, match=r"mixes 1 numbers with 1 other .*'1,5'.*; for numbers with a decimal comma"):
        files.build([path])
    reference = files.build([csv(tmp_path, ["1.5", "2"])])
    with pytest.raises(ProfileError, match=r"such as '1,5'; 'amount' is numeric; .* say --decimal ,"):
        files.count([csv(tmp_path, ["1,5", "2"])], reference)
