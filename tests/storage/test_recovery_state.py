"""State files that cannot be used are set aside, and those of earlier versions are read."""

import struct
import tarfile
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from sidecar.base.duration import Duration
from sidecar.config import Config, LabelsConfig, Learn, ModelConfig
from sidecar.reference import build
from sidecar.storage.checkpoint import CheckpointError, decode
from tests.paths import DATA
from tests.storage.support import CREATED, FRAUD, LEARNING, Kept, Time, body, churn, fraud, is_fresh, spoiled


def test_no_state_file_is_read_for_what_it_is_not(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(body(*[fraud()] * 20, *[churn(i) for i in range(120)]))
    kept.store.checkpoint_now()
    good = (kept.path / "state").read_bytes()
    decode(good)
    step = len(good) // 500
    for size in (*range(60), *range(60, len(good), step), len(good) - 1):
        with pytest.raises(CheckpointError) as refused:
            decode(good[:size])
        assert refused.value.reason == "damaged"
    for at in (*range(200), *range(200, len(good), step), len(good) - 1):
        flipped = good[:at] + bytes([good[at] ^ (1 << at % 8)]) + good[at + 1 :]
        with pytest.raises(CheckpointError) as refused:
            decode(flipped)
        assert refused.value.reason == ("foreign" if at < 16 else "damaged")  # of the 16 bytes that say what it is
    with pytest.raises(CheckpointError) as refused:
        decode(good + b"\0")
    assert refused.value.reason == "damaged"


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("damaged", lambda good: b""),
        ("damaged", lambda good: good[: len(good) // 2]),
        ("damaged", lambda good: good[:100] + b"\xff" + good[101:]),
        ("foreign", lambda good: b"SQLite format 3\0" + good),
        ("format", lambda good: sealed(good, version=0)),
        ("format", lambda good: sealed(good, version=2)),
        ("format", lambda good: sealed(good, payload=msgspec.msgpack.encode({"store": "?"}))),
        ("format", lambda good: sealed(good, payload=b"\x81")),
    ],
)
def test_a_state_file_that_cannot_be_used_is_set_aside(tmp_path: Path, reason: str, spoil: Any) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(body(fraud()))
    again = spoiled(kept, tmp_path / "b", content := spoil((kept.path / "state").read_bytes()))
    assert is_fresh(again)
    assert {r: n for r, n in again.state.set_aside.items() if n} == {reason: 1}
    [aside] = again.path.glob("state.set-aside-*")
    assert aside.read_bytes() == content
    assert len(list(again.path.glob("journal-*.set-aside-*"))) == 1
    assert again.state.problem is None
    again.submit(body(fraud()))
    assert again.killed(tmp_path / "c").everything() == again.everything()


def sealed(good: bytes, *, version: int = 1, payload: bytes | None = None) -> bytes:
    """Return a state file with right checksums."""
    payload = good[36:] if payload is None else payload
    head = struct.pack("<16sIQI", good[:16], version, len(payload), zlib.crc32(payload))
    return head + struct.pack("<I", zlib.crc32(head)) + payload


def changed(good: bytes, change: Any) -> bytes:
    document = msgspec.msgpack.decode(good[36:])
    change(document)
    return sealed(good, payload=msgspec.msgpack.encode(document))


def _other_ring(state: Any) -> None:
    state["monitor"]["models"]["fraud"]["traffic"]["windows"]["rings"][0] = b"1234"


def _one_window_less(state: Any) -> None:
    state["monitor"]["models"]["fraud"]["comparison"]["windows"]["rings"].pop()


def _no_counts(state: Any) -> None:
    state["monitor"]["models"]["fraud"]["comparison"] = None


def _other_models(state: Any) -> None:
    state["monitor"]["models"]["x"] = state["monitor"]["models"].pop("fraud")


def _bad_profile(state: Any) -> None:
    state["monitor"]["models"]["fraud"]["profile"]["rows"] = 7


def _bad_window(state: Any) -> None:
    state["monitor"]["config"]["models"][0]["windows"][0] = "soon"


def _labels(state: Any) -> Any:
    return state["monitor"]["models"]["fraud"]["labels"]


def _no_labels(state: Any) -> None:
    state["monitor"]["models"]["fraud"]["labels"] = None


def _one_id_twice(state: Any) -> None:
    columns = _labels(state)["pending"]["columns"]
    columns[0] = columns[0][:8] * (len(columns[0]) // 8)


def _a_class_that_is_not_there(state: Any) -> None:
    columns = _labels(state)["pending"]["columns"]
    columns[4] = b"\xff\x7f" * (len(columns[4]) // 2)


def _a_class_twice(state: Any) -> None:
    _labels(state)["classes"] *= 2


def _other_sums(state: Any) -> None:
    _labels(state)["sums"]["ever"] = b"1234"


def _codes_of_nothing(state: Any) -> None:
    state["monitor"]["models"]["churn"]["learner"]["texts"] = []


@pytest.mark.parametrize(
    "change",
    [
        *(_other_ring, _one_window_less, _no_counts, _other_models, _bad_profile, _bad_window, _codes_of_nothing),
        *(_no_labels, _one_id_twice, _a_class_that_is_not_there, _a_class_twice, _other_sums),
    ],
    ids=lambda f: f.__name__,
)
def test_a_state_that_contradicts_itself_is_set_aside(tmp_path: Path, change: Any) -> None:
    kept = Kept(tmp_path / "a", Time())
    kept.submit(body(*(fraud(id=i, prediction="fraud") for i in range(3)), churn()))
    kept.store.checkpoint_now()
    again = spoiled(kept, tmp_path / "b", changed((kept.path / "state").read_bytes(), change))
    assert is_fresh(again)
    assert again.state.set_aside["format"] == 1


def test_a_state_from_before_there_were_labels_is_read(tmp_path: Path) -> None:
    def as_before(state: Any) -> None:
        for name in ("labels", "labels_rejected"):
            del state["monitor"][name]
        for model in (*state["monitor"]["models"].values(), *state["monitor"]["config"]["models"]):
            del model["labels"]
            if "schema" in model:
                del model["schema"]["ids"]

    kept = Kept(tmp_path / "a", Time(), config=Config(models=(replace(FRAUD, labels=None), LEARNING)))
    kept.submit(body(fraud(), churn()))
    kept.store.checkpoint_now()
    again = spoiled(kept, tmp_path / "b", changed((kept.path / "state").read_bytes(), as_before))
    assert again.state.set_aside == dict.fromkeys(again.state.set_aside, 0)
    assert again.monitor.models["fraud"].traffic.events == 1


def test_files_from_before_there_were_seasons_are_read(tmp_path: Path) -> None:
    """Files that the last version without seasons wrote: seven events in the state, then three and a label."""
    with tarfile.open(DATA / "states" / "before-seasons.tar.gz") as files:
        files.extractall(tmp_path, filter="data")
    profile = build({"amount": [float(i) for i in range(100)]}, model="fraud", bins=3, created=CREATED)
    amount = replace(profile.features[0], design_effect=7.6138)  # as that version found it
    profile = replace(profile, features=(amount,))
    windows = (Duration("5m"),)
    fraud = ModelConfig(name="fraud", reference="fraud.json", windows=windows, labels=LabelsConfig())
    churn = ModelConfig(name="churn", learn=Learn(events=100), windows=windows)
    time = Time(boottime=1020.0, wall=1_800_000_020.0)
    kept = Kept(tmp_path, time, Config(models=(fraud, churn)), {"fraud": profile, "churn": None})
    assert kept.state.set_aside == dict.fromkeys(kept.state.set_aside, 0)
    assert kept.state.resets == dict.fromkeys(kept.state.resets, 0)
    comparison, learner = kept.monitor.models["fraud"].comparison, kept.monitor.models["churn"].learner
    assert comparison is not None
    assert learner is not None
    assert comparison.observations().tolist() == [7, 3, 0, 0]
    assert comparison.counts(now=kept.clock()).tolist() == [[7, 3, 0, 0]]
    assert learner.rows == 1
    assert kept.monitor.labels == {"http": 1}
