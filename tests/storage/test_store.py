"""When what is written, and what happens while it cannot be."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.storage.store import SILENCE_SECONDS, Pace
from tests.storage.support import Kept, Time

EVENT = json.dumps({"model": "fraud", "features": {"amount": 1.0}}).encode()


def break_journal(kept: Kept) -> None:
    """Let the next record meet a full disk."""
    segment = kept.store._recorder.segment
    assert segment is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, segment._file)
    os.close(full)


def break_checkpoints(kept: Kept) -> None:
    (kept.path / "state.new").mkdir()


def repair_checkpoints(kept: Kept) -> None:
    (kept.path / "state.new").rmdir()


def events(kept: Kept) -> int:
    kept.monitor.flush(now=kept.clock())
    return kept.monitor.models["fraud"].traffic.events


def files(kept: Kept) -> list[str]:
    return sorted(path.name for path in kept.path.iterdir() if path.name != "lock")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  (what is awaited is in files)
            await asyncio.sleep(0.002)


def test_a_journal_with_a_gap_is_removed_and_a_checkpoint_makes_all_safe_again(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(EVENT)
    break_journal(kept)
    for _ in range(3):
        kept.submit(EVENT)
    assert kept.state.problem == f"{kept.path}: No space left on device"
    assert kept.state.failures == 1
    assert files(kept) == []
    assert events(kept.killed(tmp_path / "b")) == 0
    kept.store.checkpoint_now()
    assert kept.state.problem is None
    kept.submit(EVENT)
    assert events(kept) == 5
    assert kept.killed(tmp_path / "c").everything() == kept.everything()


def test_while_no_checkpoint_can_be_written_the_journal_goes_on(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    break_checkpoints(kept)
    for i in range(4):
        kept.submit(EVENT)
        kept.store.checkpoint_now()
        assert (kept.state.problem is None, kept.state.failures) == (False, i + 1)
    assert len(files(kept)) == 2 + 5
    repair_checkpoints(kept)
    assert kept.killed(tmp_path / "b").everything() == kept.everything()
    kept.store.checkpoint_now()
    assert kept.state.problem is None
    assert len(files(kept)) == 2


def test_a_checkpoint_that_fails_after_a_gap_leaves_nothing(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    break_journal(kept)
    kept.submit(EVENT)
    break_checkpoints(kept)
    kept.store.checkpoint_now()
    kept.submit(EVENT)
    assert files(kept) == ["state.new"]
    repair_checkpoints(kept)
    assert events(kept.killed(tmp_path / "b")) == 0
    kept.store.checkpoint_now()
    assert events(kept.killed(tmp_path / "c")) == 2


async def test_a_gap_that_comes_while_a_checkpoint_is_written_spoils_it(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(EVENT)
    kept.store.checkpoint()
    break_journal(kept)
    kept.submit(EVENT)
    assert kept.store._writing is not None
    await kept.store._writing
    assert kept.state.problem is not None
    assert events(kept.killed(tmp_path / "b")) == 0
    kept.store.checkpoint()
    await kept.store._writing
    assert kept.state.problem is None
    assert events(kept.killed(tmp_path / "c")) == 2


async def test_a_segment_that_is_full_leads_to_a_checkpoint(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time(), pace=Pace(segment_bytes=1000, checkpoint_sizes=0))
    first = kept.store._number
    for i in range(40):
        kept.submit(EVENT)
        if i % 3 == 0:
            await asyncio.sleep(0)
    await until(lambda: kept.store._writing is not None and kept.store._writing.done())
    assert kept.store._number > first
    assert kept.state.problem is None
    assert kept.killed(tmp_path / "b").everything() == kept.everything()


async def test_a_large_state_is_written_less_often(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time(), pace=Pace(segment_bytes=1000))
    size = kept.state.checkpoint_bytes
    assert size == (kept.path / "state").stat().st_size
    for _ in range(40):
        kept.submit(EVENT)
        await asyncio.sleep(0)
    assert kept.store._writing is None
    assert size > 40 * 200


async def test_what_failed_is_tried_again_by_itself(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time(), pace=Pace(retry_seconds=0.01))
    running = asyncio.create_task(kept.store.run())
    break_journal(kept)
    break_checkpoints(kept)
    kept.submit(EVENT)
    await until(lambda: kept.state.failures > 3)
    repair_checkpoints(kept)
    await until(lambda: kept.state.problem is None)
    running.cancel()
    assert events(kept.killed(tmp_path / "b")) == 1


async def test_a_checkpoint_comes_regularly_too(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time(), pace=Pace(retry_seconds=0.01, regular_seconds=0.0))
    first = kept.state.checkpoint_timestamp_seconds
    assert first is not None
    running = asyncio.create_task(kept.store.run())
    await until(lambda: (kept.state.checkpoint_timestamp_seconds or 0) > first)
    running.cancel()


def test_what_goes_on_failing_is_logged_once_a_minute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept(tmp_path / "a", Time())
    break_checkpoints(kept)

    def lines() -> int:
        return sum(record.getMessage() == "cannot keep what is counted" for record in caplog.records)

    for _ in range(5):
        kept.store.checkpoint_now()
    assert lines() == 1
    kept.time.pass_(SILENCE_SECONDS)
    kept.store.checkpoint_now()
    assert lines() == 2
    repair_checkpoints(kept)
    kept.store.checkpoint_now()
    break_checkpoints(kept)
    kept.store.checkpoint_now()
    assert lines() == 3


async def test_what_was_closed_can_be_opened(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(EVENT)
    kept.store.checkpoint()
    kept.submit(EVENT)
    expected = kept.everything()
    await kept.store.close()
    assert len(files(kept)) == 2
    assert Kept(tmp_path / "a", kept.time).everything() == expected
