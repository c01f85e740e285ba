"""The table of goals: what is met, what is not, and what was not measured."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import document, goals
from bench.figures import Figures, load
from bench.floors import Floor
from bench.minimal import minimal
from bench.work import bodies, connect, posting, profile, values
from tests.paths import ROOT


def lines(figures: dict[str, float]) -> list[list[str]]:
    table = goals.table(Figures(figures)).splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def line(figures: dict[str, float], work: str, aim: str) -> list[str]:
    [found] = [cells for cells in lines(figures) if cells[0] == work and cells[1].startswith(aim)]
    return found[2:]


@pytest.mark.parametrize(("process", "ratio", "met"), [(1.2, "1.20x", "yes"), (1.4, "1.40x", "**no**")])
def test_a_ratio_to_a_floor_is_judged(process: float, ratio: str, met: str) -> None:
    figures = {"ingest.5.ndjson.process_us": process, "ingest.5.ndjson.minimal_us": 1.0}
    assert line(figures, "NDJSON of 500", "<= 1.3x") == [f"{process:.2f} to 1.00 µs", ratio, met]


@pytest.mark.parametrize(("seed", "ratio", "met"), [(400.0, "4.00x less", "yes"), (200.0, "2.00x less", "**no**")])
def test_a_ratio_to_a_peer_is_judged(seed: float, ratio: str, met: str) -> None:
    figures = {"single.process_us": 100.0, "single.seed_us": seed}
    assert line(figures, "single POST", ">= 2.5x")[1:] == [ratio, met]


def test_the_worst_state_of_the_sidecar_counts_for_the_client() -> None:
    figures = {
        "client.nothing.paced.median_us": 9.0,
        "client.http.up.paced.median_us": 1.0,
        "client.unix.hung.paced.median_us": 3.0,
        "client.unix.hung.flat.median_us": 8.0,
    }
    assert line(figures, "client `log()`, median", "<= 2") == ["3.00 µs", "1.50 of the goal", "**no**"]


def test_losing_nothing_is_met_by_nothing_alone() -> None:
    assert line({"datagram.lost": 0}, "Unix datagram, one event each", "none")[2] == "yes"
    assert line({"datagram.lost": 1}, "Unix datagram, one event each", "none")[2] == "**no**"


def test_what_was_not_measured_says_so() -> None:
    assert {cells[2] for cells in lines({"single.process_us": 1.0})} == {"not measured"}


def test_every_mark_of_the_documents_can_be_filled() -> None:
    marks = {mark for path in document.DOCUMENTS for mark in re.findall(r"<!-- measured: (\w+) -->", path.read_text())}
    assert marks == set(document.PARTS)
    for path in document.DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        once = document.written(text, Figures())
        assert document.written(once, Figures()) == once
        assert document.MARKED.sub("", once) == document.MARKED.sub("", text)


def test_figures_are_kept_with_the_machine_and_the_date(tmp_path: Path) -> None:
    path = tmp_path / "build" / "bench.json"
    figures = Figures()
    figures["a_us"] = 1.5
    figures.save(path)
    assert json.loads(path.read_text())["measured"] == figures.measured
    again = load(path)
    assert (again["a_us"], "cores" in again.machine) == (1.5, True)


def test_floors_count_every_form_alike() -> None:
    reference = profile(3)
    floor, expected = Floor(reference), values(50, 3).T
    for body in bodies(3, events=50):
        wanted = expected[:, : body.events]
        np.testing.assert_array_equal(floor.decode(body.content, body.key), wanted)
        before = floor.counts.copy()
        floor.count(wanted)
        by_bins = np.concatenate(
            [
                np.bincount(feature.bins().index(column), minlength=feature.bins().size)
                for feature, column in zip(reference.features, wanted, strict=True)
            ]
        )
        np.testing.assert_array_equal(floor.counts - before, by_bins)


def test_the_minimal_receiver_takes_every_form() -> None:
    with minimal("http", 3) as receiver:
        connection = connect(f"http://{receiver.address}")
        for body in bodies(3, events=50):
            posting(connection, body)()
        connection.close()


def test_instructions_without_their_program_say_how_to_install_it(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(sys.executable)
    command = [sys.executable, "-m", "bench", "instructions"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"PATH": str(tmp_path)}, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    assert "sudo apt-get install valgrind" in done.stderr
    assert shutil.which("valgrind", path=str(tmp_path)) is None
