"""Journals that were cut short, damaged or left by another store count up to where they are whole."""

import shutil
from pathlib import Path

from sidecar.storage.directory import KEPT_ASIDE
from tests.storage.support import Kept, Time, body, churn, fraud, is_fresh, spoiled


def test_a_record_that_was_being_written_is_left_out_whole(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(body(fraud(), churn()))
    kept.monitor.flush(now=kept.clock())
    expected = kept.everything()
    segment = kept.store._directory.segment(kept.store._number)
    whole = segment.stat().st_size
    kept.submit(body(fraud(), fraud()))
    longer = segment.stat().st_size
    for size in range(whole, longer, 3):
        copy = tmp_path / str(size)
        shutil.copytree(kept.path, copy)
        with (copy / segment.name).open("r+b") as file:
            file.truncate(size)
        again = Kept(copy, kept.time)
        assert again.everything() == expected
        assert sum(again.state.set_aside.values()) == 0
        again.abandon()


def test_a_segment_that_was_just_begun_is_empty(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(body(fraud()))
    expected = kept.everything()
    next_segment = kept.store._directory.segment(kept.store._number + 1)
    for size in (0, 1, 47):
        next_segment.write_bytes(b"\0" * size)
        again = kept.killed(tmp_path / str(size))
        assert again.everything() == expected
        assert sum(again.state.set_aside.values()) == 0


def test_events_before_a_damaged_record_count_and_the_rest_is_set_aside(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    segment = kept.store._directory.segment(kept.store._number)
    kept.submit(body(fraud()))
    first = segment.stat().st_size
    kept.submit(body(fraud()))
    kept.submit(body(fraud()))
    good = segment.read_bytes()
    for at in range(first, len(good), 3):
        segment.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        again = kept.killed(tmp_path / str(at))
        again.monitor.flush(now=again.clock())
        model = again.monitor.models["fraud"]
        assert model.traffic.events == (1 if at < (first + len(good)) // 2 else 2)
        assert again.state.set_aside["damaged"] == 1
        assert next(path.name for path in again.path.glob("*.set-aside-*")).startswith(segment.name)
        again.abandon()


def test_a_journal_without_its_state_counts_for_nothing(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(body(fraud()))
    (kept.path / "state").unlink()
    again = kept.killed(tmp_path / "b")
    assert is_fresh(again)
    assert again.state.set_aside["incomplete"] == 1


def test_a_state_without_its_journal_counts_for_nothing(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(body(fraud()))
    kept.store.checkpoint_now()
    kept.store._directory.remove_segments()
    again = kept.killed(tmp_path / "b")
    assert is_fresh(again)
    assert again.state.set_aside["incomplete"] == 1


def test_segments_of_another_store_do_not_count(tmp_path: Path) -> None:
    kept, other = Kept(tmp_path / "a", Time()), Kept(tmp_path / "b", Time())
    other.submit(body(fraud()))
    segment = kept.store._directory.segment(kept.store._number)
    shutil.copy(other.store._directory.segment(other.store._number), segment)
    again = kept.killed(tmp_path / "c")
    assert is_fresh(again)
    assert again.state.set_aside["damaged"] == 1


def test_only_what_was_set_aside_last_is_kept(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "0", Time())
    for i in range(1, KEPT_ASIDE + 3):
        kept = spoiled(kept, tmp_path / str(i), b"%d" % i)
    asides = sorted(kept.path.glob("state.set-aside-*"))
    assert [int(path.read_bytes()) for path in asides] == list(range(3, KEPT_ASIDE + 3))
    assert len(list(kept.path.glob("*.set-aside-*"))) == 2 * KEPT_ASIDE
