from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.kubernetes.rollback.payload import Alert, Unreadable, parse
from tests.kubernetes.rollback.support import NOON, alert_json, notification


def test_a_notification_of_alertmanager_is_read() -> None:
    read = parse(notification(alert_json(), alert_json(status="resolved", fingerprint="beef")))

    first, second = read.alerts
    assert (first.firing, first.name, first.starts_at, first.fingerprint) == (True, "RollbackDataDrift", NOON, "f00d")
    assert (second.firing, second.fingerprint) == (False, "beef")
    assert (read.malformed, read.truncated) == ((), 0)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b'"\xff"', "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[]", "the body is not a notification: it lacks the list `alerts`"),
        (b"{}", "the body is not a notification: it lacks the list `alerts`"),
        (b'{"alerts": {}}', "the body is not a notification: it lacks the list `alerts`"),
    ],
)
def test_what_can_never_be_read_says_why(body: bytes, message: str) -> None:
    with pytest.raises(Unreadable, match=f"^{message}"):
        parse(body)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"labels": None}, "`labels` is not an object of strings"),
        ({"labels": {"model": 1}}, "`labels` is not an object of strings"),
        ({"status": "suppressed"}, "`status` is neither firing nor resolved"),
        ({"startsAt": None}, "`startsAt` is not a time"),
        ({"startsAt": "noon"}, "`startsAt` is not a time: Invalid isoformat string: 'noon'"),
        ({"startsAt": "0001-01-01T00:00:00+23:00"}, "`startsAt` is not a time: date value out of range"),
    ],
)
def test_an_alert_that_cannot_be_used_leaves_the_others(change: dict[str, Any], reason: str) -> None:
    read = parse(notification(alert_json(), {**alert_json(), **change}))

    assert len(read.alerts) == 1
    assert read.malformed == (f"alerts[1]: {reason}",)


def test_fields_that_come_and_go_are_not_needed() -> None:
    entry = b'{"status": "firing", "labels": {"model": "fraud"}, "startsAt": "2026-11-23T12:00:00Z", "new": []}'
    body = b'{"alerts": [' + entry + b"]}"

    [alert] = parse(body).alerts

    assert len(alert.fingerprint) == 16, "made of the labels"


@pytest.mark.parametrize(
    "text", ["2026-11-23T12:00:00Z", "2026-11-23T12:00:00.000000000Z", "2026-11-23T13:00:00+01:00"]
)
def test_the_key_is_the_same_however_the_time_is_written(text: str) -> None:
    [alert] = parse(notification({**alert_json(), "startsAt": text})).alerts

    assert alert.key("rollback") == parse(notification()).alerts[0].key("rollback")


def test_nanoseconds_are_read_to_the_microsecond() -> None:
    [alert] = parse(notification({**alert_json(), "startsAt": "2026-11-23T12:00:00.123456789Z"})).alerts

    assert alert.starts_at == NOON + timedelta(microseconds=123456)


def test_the_key_differs_by_alert_time_and_action() -> None:
    base = Alert(firing=True, labels={}, starts_at=NOON, fingerprint="a")
    others = [
        Alert(firing=True, labels={}, starts_at=NOON + timedelta(seconds=1), fingerprint="a"),
        Alert(firing=True, labels={}, starts_at=NOON, fingerprint="b"),
    ]

    keys = {alert.key("rollback") for alert in [base, *others]} | {base.key("scale_down")}

    assert len(keys) == 4


def test_alerts_that_were_left_out_are_counted() -> None:
    assert parse(b'{"alerts": [], "truncatedAlerts": 7}').truncated == 7
    assert parse(b'{"alerts": [], "truncatedAlerts": "x"}').truncated == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@given(st.binary(max_size=200) | json_values.map(msgspec.json.encode))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        read = parse(body)
    except Unreadable:
        return
    assert all(alert.starts_at.tzinfo is UTC for alert in read.alerts)


offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=offsets))
def test_any_time_is_read_as_utc(moment: datetime) -> None:
    [alert] = parse(notification({**alert_json(), "startsAt": moment.isoformat()})).alerts

    assert alert.starts_at == moment
