"""What is said of columns that look like something else than features."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import pytest

from sidecar.reference import Profile, ProfileError, files

ROWS = 400
IDS = [str(UUID(int=i * 7919)) for i in range(ROWS)]


def built(tmp_path: Path, columns: dict[str, Any], **options: Any) -> tuple[Profile, list[str]]:
    path = tmp_path / "x.csv"
    notices: list[str] = []
    pd.DataFrame({"x": [i % 7 for i in range(ROWS)], **columns}).to_csv(path, index=False)
    return files.build([path], notice=notices.append, **options), notices


def names(profile: Profile) -> list[str]:
    return [feature.name for feature in profile.features]


def test_texts_that_are_all_different_are_left_out(tmp_path: Path) -> None:
    profile, notices = built(tmp_path, {"request": IDS, "shop": ["a", "b"] * (ROWS // 2)})
    assert names(profile) == ["x", "shop"]
    [told] = [notice for notice in notices if "request" in notice]
    assert told.startswith("column 'request' is left out: nearly every text in it is different, as of identifiers")


def test_they_stay_where_they_are_named_and_few_are_no_identifiers(tmp_path: Path) -> None:
    assert names(built(tmp_path, {"request": IDS}, features=["request"])[0]) == ["request"]
    few = tmp_path / "few.csv"
    few.write_text("x\n" + "".join(f"{text}\n" for text in IDS[:20]))
    assert names(files.build([few])) == ["x"]


def test_a_sample_tells_them_too_and_nothing_is_left_where_all_are(tmp_path: Path) -> None:
    assert names(built(tmp_path, {"request": IDS}, sample_rows=200)[0]) == ["x"]
    path = tmp_path / "y.csv"
    path.write_text("request\n" + "\n".join(IDS) + "\n")
    with pytest.raises(ProfileError, match=r"no column of y\.csv can be a feature"):
        files.build([path])


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("order_id", [(i * 7919) % 100_003 for i in range(ROWS)], True),
        ("orderId", [(i * 7919) % 100_003 for i in range(ROWS)], True),
        ("number", list(range(5000, 5000 + ROWS)), True),
        ("cents", [(i * 7919) % 100_003 for i in range(ROWS)], False),
        ("id", [i % 7 for i in range(ROWS)], False),
        ("paid", [(i * 7919) % 100_003 for i in range(ROWS)], False),
        ("rising", [i + 0.5 for i in range(ROWS)], False),
    ],
)
def test_whole_numbers_that_look_like_identifiers_are_named(
    tmp_path: Path, column: str, values: list[float], told: bool
) -> None:
    profile, notices = built(tmp_path, {column: values})
    assert names(profile) == ["x", column]
    assert any(f"if it identifies rows, say --id {column}" in notice for notice in notices) == told


def test_a_column_that_is_named_as_identifier_is_no_feature(tmp_path: Path) -> None:
    profile, notices = built(tmp_path, {"order_id": range(ROWS)}, identifier="order_id")
    assert names(profile) == ["x"]
    assert not any("order_id" in notice for notice in notices)
    with pytest.raises(ProfileError, match="no column named 'y'"):
        built(tmp_path, {}, identifier="y")


def test_a_column_of_times_is_proposed_as_the_timestamp(tmp_path: Path) -> None:
    times = pd.date_range("2026-01-01", periods=ROWS, freq="h")
    _, notices = built(tmp_path, {"at": times})
    assert any(n.startswith("column 'at' is left out: it holds times; say --timestamp at") for n in notices)
    _, notices = built(tmp_path, {"at": times, "due": times}, timestamp="at")
    assert "column 'due' is left out: it holds times" in notices
