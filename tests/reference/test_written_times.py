"""Times as files write them: which are read, and what is said of those that are not."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from sidecar.alerting.backtest.history import History, Named
from sidecar.data.files import DataError
from sidecar.data.kinds import Writing
from sidecar.reference import Profile, ProfileError, build, files

FIRST = datetime(2018, 1, 1, tzinfo=UTC)
HOURS = [FIRST + timedelta(minutes=15 * i) for i in range(3840)]
Write = Callable[[Path, list[str]], Path]


def csv(tmp_path: Path, times: list[str]) -> Path:
    path = tmp_path / "x.csv"
    path.write_text("date,x\n" + "".join(f'"{time}",{i % 97}\n' for i, time in enumerate(times)))
    return path


def parquet(tmp_path: Path, times: list[str]) -> Path:
    path = tmp_path / "x.parquet"
    pa.parquet.write_table(pa.table({"date": times, "x": [float(i % 97) for i in range(len(times))]}), path)
    return path


def json_lines(tmp_path: Path, times: list[str]) -> Path:
    path = tmp_path / "x.jsonl"
    path.write_text("".join(f'{{"date": "{time}", "x": {i % 97}}}\n' for i, time in enumerate(times)))
    return path


def built(path: Path, form: str | None = None) -> Profile:
    return files.build([path], timestamp="date", timestamp_format=form, window_seconds=86_400, created=FIRST)


@pytest.mark.parametrize("write", [csv, parquet, json_lines])
@pytest.mark.parametrize("form", ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y %H:%M %z"])
def test_times_are_read_in_the_format_that_is_named(tmp_path: Path, write: Write, form: str) -> None:
    path = write(tmp_path, [time.strftime(form) for time in HOURS])
    expected = write(tmp_path / "..", [time.isoformat() for time in HOURS])
    found = built(path, form)
    assert found.features == built(expected).features
    history = History([path], found, Named(timestamp="date"), writing=Writing(times=form))
    assert (history.first, history.last) == (HOURS[0].timestamp(), HOURS[-1].timestamp())


@pytest.mark.parametrize("write", [csv, parquet, json_lines])
@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("%d/%m/%Y %H:%M", "all fit --timestamp-format '%d/%m/%Y %H:%M'"),
        ("%m/%d/%Y %H:%M", "all fit --timestamp-format '%m/%d/%Y %H:%M'"),
        ("%d.%m.%Y %H:%M", "all fit --timestamp-format '%d.%m.%Y %H:%M'"),
        ("%B %d", "say how times are written (--timestamp-format)"),
    ],
)
def test_other_times_are_refused_with_the_format_that_all_of_them_fit(
    tmp_path: Path, write: Write, form: str, said: str
) -> None:
    path = write(tmp_path, [time.strftime(form) for time in HOURS])
    with pytest.raises(ProfileError) as refused:
        built(path)
    assert "no times, such as" in str(refused.value)
    assert said in str(refused.value)
    with pytest.raises(DataError) as refused_too:
        History([path], build({"x": [1.0, 2.0]}), Named(timestamp="date"))
    assert str(refused_too.value) == str(refused.value)


def test_day_and_month_are_never_guessed(tmp_path: Path) -> None:
    path = csv(tmp_path, ["03/04/2018 00:15", "05/04/2018 00:15"])
    with pytest.raises(ProfileError, match="say which of day and month comes first") as refused:
        built(path)
    assert "'%d/%m/%Y %H:%M' or '%m/%d/%Y %H:%M'" in str(refused.value)


@pytest.mark.parametrize("write", [csv, parquet, json_lines])
def test_the_example_is_of_what_is_no_time(tmp_path: Path, write: Write) -> None:
    times = [time.isoformat() for time in HOURS]
    times[1234] = "n/a"
    path = write(tmp_path, times)
    with pytest.raises(ProfileError, match=r"no times, such as 'n/a' \(1 of 3840\): .*--null"):
        built(path)
    found = files.build([path], timestamp="date", null=["n/a"], window_seconds=86_400)
    assert found.rows == 3840


def test_numbers_among_times_and_times_among_numbers_are_what_is_wrong(tmp_path: Path) -> None:
    times = [time.isoformat() for time in HOURS]
    with pytest.raises(ProfileError, match=r"no times, such as '5' \(1 of 3841\)"):
        built(csv(tmp_path, [*times, "5"]))
    seconds = [str(time.timestamp()) for time in HOURS]
    with pytest.raises(ProfileError, match=r"no times, such as '2018-01-01' \(1 of 3841\)"):
        built(csv(tmp_path, [*seconds, "2018-01-01"]))


def test_a_format_that_values_do_not_fit_or_that_is_none_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, [time.isoformat() for time in HOURS])
    with pytest.raises(ProfileError, match=r"no times, such as .* not written as '%d/%m/%Y' \(--timestamp-format\)"):
        built(path, "%d/%m/%Y")
    with pytest.raises(ProfileError, match="%Q"):
        built(path, "%Q")


def test_a_column_without_times_and_one_of_other_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="'date' holds no times: all of its values are missing"):
        built(csv(tmp_path, ["", ""]))
    path = tmp_path / "y.parquet"
    pa.parquet.write_table(pa.table({"date": [True, False], "x": [1, 2]}), path)
    with pytest.raises(ProfileError, match="no times, such as 'false'"):
        built(path)
