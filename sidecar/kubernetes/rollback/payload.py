"""Payload: the body of a notification, version 4 of Alertmanager's webhook, to alerts.

Fields come and go between versions of Alertmanager, so only what is needed is read and the rest is left alone. An alert
that cannot be used is told apart from the others, which still count.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeGuard

import msgspec

LABELS_LENGTH = 16 * 2**10
"""Characters that the labels of one alert may have together: they are kept, logged and handed on."""

_FINGERPRINT_LENGTH = 128


class Unreadable(Exception):
    """The body can never be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert of a notification. `starts_at` is in UTC."""

    firing: bool
    labels: Mapping[str, str]
    starts_at: datetime
    fingerprint: str

    @property
    def name(self) -> str:
        """Return the name of the alerting rule."""
        return self.labels.get("alertname", "")

    def key(self, action: str) -> str:
        """Return what an action for this alert is known by, the same at every delivery by any Alertmanager."""
        text = f"{self.fingerprint}\n{self.starts_at.isoformat()}\n{action}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Alerts of a group, what is wrong with those that cannot be used, and how many Alertmanager left out."""

    alerts: tuple[Alert, ...]
    malformed: tuple[str, ...] = ()
    truncated: int = 0


def parse(body: bytes) -> Notification:
    """Read the body of a notification; raises Unreadable."""
    reading = entries(body)
    for _ in reading.steps():
        pass
    return reading.notification()


def entries(body: bytes) -> "Reading":
    """Begin to read the body of a notification; raises Unreadable."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"the body is not JSON: {error}") from error
    found = document.get("alerts") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise Unreadable("the body is not a notification: it lacks the list `alerts`")
    truncated = document.get("truncatedAlerts")
    return Reading(found, truncated if isinstance(truncated, int) and truncated > 0 else 0)


class Reading:
    """A notification that is read alert by alert, so that others have their turn in between."""

    def __init__(self, found: list[Any], truncated: int) -> None:
        self._found = found
        self._truncated = truncated
        self._alerts: list[Alert] = []
        self._malformed: list[str] = []

    def steps(self) -> Iterator[None]:
        """Read the next alert at each step."""
        for i, entry in enumerate(self._found):
            try:
                self._alerts.append(_alert(entry))
            except ValueError as error:
                self._malformed.append(f"alerts[{i}]: {error}")
            yield

    def notification(self) -> Notification:
        """Return what was read."""
        return Notification(alerts=tuple(self._alerts), malformed=tuple(self._malformed), truncated=self._truncated)


def _alert(entry: Any) -> Alert:
    if not isinstance(entry, dict):
        raise ValueError("it is not an object")
    labels = entry.get("labels")
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("`labels` is not an object of strings")
    if sum(len(name) + len(value) for name, value in labels.items()) > LABELS_LENGTH:
        raise ValueError(f"`labels` are longer than {LABELS_LENGTH} characters")
    status = entry.get("status")
    if status not in ("firing", "resolved"):
        raise ValueError("`status` is neither firing nor resolved")
    fingerprint = entry.get("fingerprint")
    return Alert(
        firing=status == "firing",
        labels=labels,
        starts_at=_moment(entry.get("startsAt")),
        fingerprint=fingerprint if _is_short(fingerprint) else _fingerprint(labels),
    )


def _is_short(fingerprint: Any) -> TypeGuard[str]:
    return isinstance(fingerprint, str) and 0 < len(fingerprint) <= _FINGERPRINT_LENGTH


def _moment(value: Any) -> datetime:
    """Read an RFC 3339 time of any precision; what has no zone is UTC."""
    if not isinstance(value, str):
        raise ValueError("`startsAt` is not a time")
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"`startsAt` is not a time: {error}") from error


def _fingerprint(labels: Mapping[str, str]) -> str:
    """Identify an alert by its labels, for versions of Alertmanager that send no fingerprint."""
    return hashlib.sha256(msgspec.json.encode(sorted(labels.items()))).hexdigest()[:16]
