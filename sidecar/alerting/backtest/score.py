"""Score: which firings were false alarms, and how long it took to find what was known to be wrong."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sidecar.alerting.backtest.states import Firing

DAY = 86_400.0
WEEK = 7 * DAY


@dataclass(frozen=True, slots=True)
class Incident:
    """Known trouble, from `start` to `end` in seconds of Unix time."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Detection:
    """When an alert began to fire after an incident had begun; None if it did not.

    `already` says that it fired before and went on, which finds nothing.
    """

    seconds: float | None
    already: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """What came of one alert."""

    alert: str
    firings: int
    false_alarms: int
    false_per_week: float
    firing_share: float
    detections: tuple[Detection, ...]
    subjects: tuple[tuple[str, int], ...]

    @property
    def found(self) -> int:
        """How many incidents the alert found."""
        return sum(detection.seconds is not None for detection in self.detections)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the history: its length, its incidents, and how long a window remembers one after its end."""

    seconds: float
    incidents: Sequence[Incident]
    memory_seconds: float

    def excuses(self, firing: Firing) -> bool:
        """Tell whether an alert that began then is due to an incident."""
        return any(i.start <= firing.start <= i.end + self.memory_seconds for i in self.incidents)


def score(alert: str, firings: Iterable[Firing], known: Known) -> Score:
    """Judge the firings of one alert.

    A false alarm is a stretch of time in which it fires, for any feature, that did not begin in an incident or while a
    window still held one. One that goes on counts again for each day it lasts.
    """
    listed = list(firings)
    false = merged([f for f in listed if not known.excuses(f)])
    alarms = sum(1 + math.floor((end - start) / DAY) for start, end in false)
    return Score(
        alert=alert,
        firings=len(listed),
        false_alarms=alarms,
        false_per_week=alarms / (known.seconds / WEEK),
        firing_share=sum(end - start for start, end in merged(listed)) / known.seconds,
        detections=tuple(_detection(listed, incident, known.memory_seconds) for incident in known.incidents),
        subjects=tuple(Counter(f.subject for f in listed).most_common()),
    )


def merged(firings: Iterable[Firing]) -> list[tuple[float, float]]:
    """Return the stretches of time in which at least one of these fires."""
    found: list[tuple[float, float]] = []
    for firing in sorted(firings, key=lambda f: f.start):
        if found and firing.start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], firing.end))
        else:
            found.append((firing.start, firing.end))
    return found


def _detection(firings: Sequence[Firing], incident: Incident, memory_seconds: float) -> Detection:
    begun = [f.start for f in firings if incident.start <= f.start <= incident.end + memory_seconds]
    if begun:
        return Detection(min(begun) - incident.start)
    return Detection(None, already=any(f.start < incident.start < f.end for f in firings))
