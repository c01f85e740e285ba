from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.kubernetes.rollback.history import (
    HISTORY,
    ROLLED_BACK_FROM,
    History,
    Record,
    UnreadableHistory,
    read,
)
from sidecar.kubernetes.rollback.policy import HISTORY_RECORDS
from tests.kubernetes.rollback.support import NOON

records = st.builds(
    Record,
    key=st.text("abc", min_size=1, max_size=3),
    action=st.sampled_from(["rollback", "scale_down"]),
    policy=st.just("p"),
    alert=st.text(max_size=5),
    at=st.integers(0, 10**6).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    state=st.sampled_from(["claimed", "done", "failed"]),
    from_=st.text("xyz", max_size=2),
    to=st.text("xyz", max_size=2),
    by=st.just("one"),
    attempts=st.integers(1, 5),
)


@given(st.lists(records, max_size=60))
def test_what_is_noted_is_read_again(noted: list[Record]) -> None:
    history = History()
    for record in sorted(noted, key=lambda r: r.at):
        history = history.noting(record)

    again = read([history.annotations()])

    assert sorted(again.records, key=lambda r: r.key) == sorted(history.records, key=lambda r: r.key)
    assert again.rolled_back_from == history.rolled_back_from
    assert len(again.records) <= HISTORY_RECORDS
    assert len({record.key for record in again.records}) == len(again.records), "one record for each key"


@given(st.lists(records, max_size=10), st.lists(records, max_size=10))
def test_a_workload_counts_more_than_its_replica_sets(own: list[Record], copied: list[Record]) -> None:
    first, second = History(), History()
    for record in own:
        first = first.noting(record)
    for record in copied:
        second = second.noting(record)

    both = read([first.annotations(), second.annotations(), {}])

    for record in first.records:
        found = both.find(record.key)
        assert found in (record, None)
        assert found == record or len(both.records) == HISTORY_RECORDS
    assert set(both.rolled_back_from) == set(first.rolled_back_from) | set(second.rolled_back_from)


@given(st.text(max_size=50))
def test_what_somebody_wrote_by_hand_is_read_or_refused(text: str) -> None:
    try:
        history = read([{HISTORY: text}])
    except UnreadableHistory:
        return
    assert history.records == ()


def test_failures_are_counted_since_something_was_done() -> None:
    def record(key: str, state: str, minute: int, attempts: int = 1) -> Record:
        at = NOON + timedelta(minutes=minute)
        return msgspec.convert(
            {"key": key, "action": "rollback", "policy": "p", "alert": "a", "at": at, "state": state}
            | {"from": "a", "to": "b", "by": "one", "attempts": attempts},
            Record,
        )

    history = History((record("a", "failed", 0, 9), record("b", "done", 1), record("c", "failed", 2, 2)))

    assert history.failures() == (2, NOON + timedelta(minutes=2))
    assert History().failures() == (0, None)


def test_the_annotations_stay_small() -> None:
    history = History()
    for i in range(500):
        history = history.noting(
            Record(
                key=f"{i:016}",
                action="rollback",
                policy="p" * 100,
                alert="a" * 100,
                at=NOON,
                state="done",
                from_=f"{i:010}",
                to="f" * 10,
                by="h" * 60,
            )
        )

    annotations = history.annotations()

    assert sum(map(len, annotations.values())) < 16 * 1024, "of the 256 KiB that Kubernetes allows"
    assert annotations[ROLLED_BACK_FROM].count(",") == 49


@pytest.mark.parametrize("text", ["null", "{}", '[{"key": 1}]', "[" * 10_000])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(UnreadableHistory):
        read([{HISTORY: text}])
