"""`make demo` from beginning to end."""

import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from demo.__main__ import start_monitoring
from tests.paths import ROOT
from tests.plugins.programs import program
from tools.process import SidecarProcess

LONGEST_SECONDS = 400

JANUARY = "January itself, the flights the reference was built from"
ORDINARY_DAY = "24 January, an ordinary winter day"
STORM = "9 February, the day of the storm"
JULY = "July, the whole month"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run the demo in an empty folder, and return what it printed."""
    finished = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=tmp_path_factory.mktemp("demo"),
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"},
        capture_output=True,
        encoding="utf-8",
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "Traceback" not in finished.stderr
    return finished.stdout


def levels(printed: str, title: str) -> dict[str, str]:
    """Return the level of each feature in the table under a title."""
    _, found, rest = printed.partition(f"{title} (")
    assert found, printed
    table = rest.partition("latency:")[0]
    return dict(re.findall(r"^\W*(\w+)\W.*?\b(none|moderate|significant|critical)\W*$", table, re.MULTILINE))


FEATURES = {
    *("dep_delay", "arr_delay", "air_time", "distance", "hour", "carrier", "origin", "dest"),
    *("prediction", "probability"),
}


@pytest.mark.parametrize("title", [JANUARY, ORDINARY_DAY])
def test_demo_finds_no_drift_in_january_and_on_an_ordinary_day(printed: str, title: str) -> None:
    assert levels(printed, title) == dict.fromkeys(FEATURES, "none")


def test_demo_finds_the_storm_in_departure_delays(printed: str) -> None:
    found = levels(printed, STORM)
    assert set(found) == FEATURES
    assert found["dep_delay"] == found["arr_delay"] == "critical"
    assert re.search(r"What moved in dep_delay on 9 February.*\n\s+missing: ", printed)


def test_demo_finds_july_different_and_its_distances_alike(printed: str) -> None:
    found = levels(printed, JULY)
    assert set(found) == FEATURES
    assert found["distance"] == found["origin"] == "none"
    assert set(found.values()) > {"none"}


def test_demo_tells_latency_of_each_day_and_ends_with_how_to_look_further(printed: str) -> None:
    assert len(re.findall(r"latency: p50 [\d.]+ ms, p99 [\d.]+ ms; [\d.]+% within 100 ms", printed)) == 4
    last = printed.partition("Done in ")[2]
    assert "serve --config.file=build/demo/sidecar.yml" in last
    assert "curl -s http://127.0.0.1:8000/drift" in last


def test_demo_goes_on_to_the_alert_on_the_storm_and_to_what_would_be_rolled_back(printed: str) -> None:
    program("prometheus")
    program("prometheus-alertmanager")
    assert "RollbackDataDrift (severity critical, action rollback): firing" in printed
    assert '"alertname": "RollbackDataDrift"' in printed
    assert "Alerts on January and on the ordinary day: none." in printed
    decided = "dry_run: would roll back deployment/late-flights from 2013-02"
    assert decided in printed
    assert "to 2013-01" in printed.partition(decided)[2].partition("Done in")[0]


def test_demo_without_prometheus_says_how_to_install_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as running:
        patch.setattr("demo.stack.shutil.which", lambda name: None)
        process = SidecarProcess(None, "", ("http://127.0.0.1:1",), Path())  # type: ignore[arg-type]
        stack, _ = start_monitoring(running, process)
        assert stack is None
    told = " ".join(capsys.readouterr().out.split())
    assert "sudo apt-get install prometheus prometheus-alertmanager" in told
