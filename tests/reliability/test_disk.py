"""A disk that is full, read-only or spoiled: the sidecar serves from memory, says so, and recovers."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.programs import model_sidecar
from tests.plugins.serving import TIMEOUT_SECONDS, event, fraud_config, get, post, samples, value, wait_until
from tests.reliability.disks import SmallDisk, small_disk
from tools.process import SidecarProcess, started

StartKept = Callable[..., SidecarProcess]


@pytest.fixture
def start_kept(tmp_path: Path) -> Iterator[StartKept]:
    """Start sidecars that keep their state in a directory, write checkpoints often and try again soon."""
    config = fraud_config(tmp_path)
    with ExitStack() as stack:

        def start(directory: Path) -> SidecarProcess:
            log = tmp_path / "sidecar.log"
            command = [sys.executable, "-m", "tests.reliability.quick", "--ingest.listen-address=127.0.0.1:0"]
            command += [f"--config.file={config}", f"--storage.path={directory}"]
            process, [address] = stack.enter_context(started(command, log, listeners=1))
            return SidecarProcess(process, f"http://{address}", (), log)

        yield start


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", mebibytes=4) as made:
        yield made


def kill(process: SidecarProcess) -> None:
    process.process.send_signal(signal.SIGKILL)
    process.process.wait(TIMEOUT_SECONDS)


def healthy(process: SidecarProcess) -> bool:
    return value(samples(process.url), "model_sidecar_storage_healthy") == 1


def predictions(process: SidecarProcess) -> float:
    return value(samples(process.url), "model_predictions_total")


def events(number: int) -> list[Any]:
    return [event()] * number


def test_a_full_disk_costs_nothing_but_safety_and_only_while_it_is_full(start_kept: StartKept, disk: SmallDisk) -> None:
    kept = disk.path / "kept"
    process = start_kept(kept)
    post(process.url, events(10))
    with disk.full(process.process.pid):
        for _ in range(50):
            assert post(process.url, events(20)).status == 202
        wait_until(lambda: not healthy(process))
        assert predictions(process) == 1010
        wait_until(lambda: "storage: counts would not survive a crash: " in get(process.url, "/-/ready").text)
        assert get(process.url, "/-/ready").status == 200
        assert "cannot keep what is counted" in process.log.read_text()
    wait_until(lambda: healthy(process))
    assert get(process.url, "/-/ready").text == "model-sidecar is ready.\n"
    assert "what is counted survives a crash again" in process.log.read_text()
    post(process.url, events(5))
    kill(process)
    assert predictions(start_kept(kept)) == 1015


def test_a_kill_while_the_disk_is_full_leaves_all_or_nothing(start_kept: StartKept, disk: SmallDisk) -> None:
    kept = disk.path / "kept"
    process = start_kept(kept)
    posted = 0
    with disk.full(process.process.pid):
        while list(kept.glob("journal-*")):
            assert post(process.url, events(50)).status == 202
            posted += 50
        kill(process)
    # A counter that begins at zero reads as a restart; one that goes back a little would read as a great rise.
    again = start_kept(kept)
    assert predictions(again) in (0, posted)
    assert healthy(again)


@pytest.mark.parametrize("before", [0, 10])
def test_a_disk_that_is_full_at_the_start_loses_nothing(start_kept: StartKept, disk: SmallDisk, before: int) -> None:
    if not disk.mounted:
        pytest.skip("a disk that is full before the process is there takes root, who may mount one")
    kept = disk.path / "kept"
    if before:
        process = start_kept(kept)
        post(process.url, events(before))
        kill(process)
    with disk.full(0):
        process = start_kept(kept)
        post(process.url, events(3))
        assert predictions(process) == before + 3
    wait_until(lambda: healthy(process))
    kill(process)
    assert predictions(start_kept(kept)) == before + 3


def test_a_read_only_directory_is_served_from_memory_until_it_can_be_written(
    start_kept: StartKept, disk: SmallDisk
) -> None:
    kept = disk.path / "kept"
    first = start_kept(kept)
    post(first.url, events(10))
    kill(first)
    disk.forbid_writing()
    process = start_kept(kept)
    post(process.url, events(7))
    assert (healthy(process), predictions(process)) == (False, 7)
    assert "storage: counts would not survive a crash: " in get(process.url, "/-/ready").text
    disk.allow_writing()
    wait_until(lambda: healthy(process))
    # What was there could not be marked as read: to go on from it twice would count it twice.
    assert value(samples(process.url), "model_sidecar_storage_set_aside_total", reason="unreadable") == 1
    kill(process)
    assert predictions(start_kept(kept)) == 7


def test_a_spoiled_state_file_is_set_aside_and_told(start_kept: StartKept, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    process = start_kept(kept)
    post(process.url, events(10))
    kill(process)
    state = kept / "state"
    state.write_bytes(state.read_bytes()[:-1])
    again = start_kept(kept)
    assert (healthy(again), predictions(again)) == (True, 0)
    assert value(samples(again.url), "model_sidecar_storage_set_aside_total", reason="damaged") == 1
    assert len(list(kept.glob("state.set-aside-*"))) == 1
    assert "setting aside what was kept, and counting from zero" in again.log.read_text()


def test_two_processes_do_not_share_a_directory(start_kept: StartKept, tmp_path: Path) -> None:
    process = start_kept(tmp_path / "kept")
    finished = model_sidecar("serve", "--ingest.listen-address=127.0.0.1:0", f"--storage.path={tmp_path}/kept")
    sentence = f"model-sidecar: --storage.path: {tmp_path}/kept is in use by another process\n"
    assert (finished.returncode, finished.stdout, finished.stderr) == (1, "", sentence)
    assert post(process.url, event()).status == 202
