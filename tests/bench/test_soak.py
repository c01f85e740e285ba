"""The short form of the soak: real processes for some seconds; and what it would find wrong."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.soak import GROWTH_MIB, Sample, verdict

GOOD = Sample(
    minutes=1.0,
    resident_mib=60.0,
    client_mib=40.0,
    due=1000,
    sent=1000,
    counted=1000,
    dropped=0,
    refused=0,
    cpu_share=0.1,
    scrape_ms=5.0,
)


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", "soak", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("transport", ["http", "unixgram"])
def test_a_steady_rate_is_counted_to_the_last_event_and_memory_does_not_grow(transport: str) -> None:
    done = soak("--minutes=0.15", "--rate=200", f"--transport={transport}")
    assert done.returncode == 0, done.stdout + done.stderr
    *_, last, _ = done.stdout.splitlines()
    sent, counted, dropped, refused = (int(cell.replace(",", "")) for cell in last.split()[3:7])
    assert sent == counted > 1000
    assert (dropped, refused) == (0, 0)


def test_a_share_of_full_speed_is_counted_to_the_last_event_and_kept_in_files(tmp_path: Path) -> None:
    done = soak("--minutes=0.1", "--share=0.3", "--features=20", f"--serve-arg=--storage.path={tmp_path}")
    assert done.returncode == 0, done.stdout + done.stderr
    *_, last, _ = done.stdout.splitlines()
    sent, counted, dropped, refused = (int(cell.replace(",", "")) for cell in last.split()[3:7])
    assert sent == counted > 1000
    assert (dropped, refused) == (0, 0)
    assert (tmp_path / "state").stat().st_size > 0


def test_a_rate_that_cannot_be_held_fails() -> None:
    done = soak("--minutes=0.05", "--rate=10000000", "--features=5")
    assert done.returncode == 1
    assert "failed: " in done.stderr


def test_a_sidecar_that_does_not_start_fails() -> None:
    done = soak("--minutes=0.05", "--serve-arg=--no-such-option")
    assert done.returncode == 1
    assert "--no-such-option" in done.stderr


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dropped": 1, "counted": 999}, "1 events were dropped and 0 refused"),
        ({"refused": 2, "counted": 998}, "0 events were dropped and 2 refused"),
        ({"counted": 999}, "1000 events were sent, 999 counted"),
        ({"sent": 900, "counted": 900}, "1000 events were due, 900 were sent"),
    ],
)
def test_what_goes_wrong_with_events_is_told(change: dict[str, int], sentence: str) -> None:
    assert sentence in verdict([GOOD] * 5 + [replace(GOOD, **change)])


def test_memory_may_waver_and_not_grow() -> None:
    wavering = [replace(GOOD, resident_mib=60.0 + 3 * (i % 2)) for i in range(12)]
    assert verdict(wavering) == []
    growing = [replace(GOOD, resident_mib=60.0 + i * GROWTH_MIB / 2) for i in range(12)]
    assert verdict(growing) == ["memory grew from 71.0 to 79.0 MiB"]
