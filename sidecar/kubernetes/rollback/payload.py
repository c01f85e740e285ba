"""Payload: the body of a notification, version 4 of Alertmanager's webhook, to alerts.

Fields come and go between versions of Alertmanager, so only what is needed is read and the rest is left alone. An alert
that cannot be used is told apart from the others, which still count.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec


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
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"the body is not JSON: {error}") from error
    entries = document.get("alerts") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise Unreadable("the body is not a notification: it lacks the list `alerts`")
    alerts: list[Alert] = []
    malformed: list[str] = []
    for i, entry in enumerate(entries):
        try:
            alerts.append(_alert(entry))
        except ValueError as error:
            malformed.append(f"alerts[{i}]: {error}")
    if malformed and not alerts:
        raise Unreadable(f"no alert can be used: {malformed[0]}")
    truncated = document.get("truncatedAlerts")
    return Notification(
        alerts=tuple(alerts),
        malformed=tuple(malformed),
        truncated=truncated if isinstance(truncated, int) and truncated > 0 else 0,
    )


def _alert(entry: Any) -> Alert:
    if not isinstance(entry, dict):
        raise ValueError("it is not an object")
    labels = entry.get("labels")
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("`labels` is not an object of strings")
    status = entry.get("status")
    if status not in ("firing", "resolved"):
        raise ValueError("`status` is neither firing nor resolved")
    fingerprint = entry.get("fingerprint")
    return Alert(
        firing=status == "firing",
        labels=labels,
        starts_at=_moment(entry.get("startsAt")),
        fingerprint=fingerprint if isinstance(fingerprint, str) and fingerprint else _fingerprint(labels),
    )


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
