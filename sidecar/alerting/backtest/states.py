"""States: whether the condition of an alert holds at each evaluation, and when it fires for it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sidecar.alerting.backtest.recorded import Evaluations
from sidecar.alerting.rules.settings import Settings
from sidecar.base.duration import milliseconds
from sidecar.statistics.bins import Floats

Holds = NDArray[np.bool_]
Runs = NDArray[np.int64]
"""Stretches of evaluations, shape `(stretches, 2)`: the first one, and the one after the last."""


@dataclass(frozen=True, slots=True)
class States:
    """An alert about one `subject` (a feature, an objective): does its condition hold, and with which value."""

    alert: str
    subject: str
    evaluated: Evaluations
    for_: int
    holds: Holds
    values: Floats

    @classmethod
    def empty(
        cls, settings: Settings, alert: str, subject: str, evaluated: Evaluations, *, for_: str | None = None
    ) -> "States":
        """Make room for the states of an alert, with the duration that the settings give it."""
        wait = settings.policy(alert).for_ or for_ or "0s"
        number = evaluated.number
        return cls(alert, subject, evaluated, milliseconds(wait), np.zeros(number, dtype=bool), np.full(number, np.nan))

    def firings(self, for_: int | None = None) -> Iterator["Firing"]:
        """Yield when the alert fires, if the condition has to hold for `for_` milliseconds."""
        wait = self.for_ if for_ is None else for_
        evaluated = self.evaluated
        for first, after in firing(runs(self.holds), wait=wait, interval=evaluated.interval).tolist():
            yield Firing(
                alert=self.alert,
                subject=self.subject,
                start=(evaluated.first + first * evaluated.interval) / 1000,
                end=(evaluated.first + after * evaluated.interval) / 1000,
                peak=float(np.nanmax(self.values[first:after])),
                ended=after < evaluated.number,
            )


@dataclass(frozen=True, slots=True)
class Firing:
    """One time that an alert fired: from `start` until it was resolved at `end`, in seconds of Unix time.

    `ended` is False where it still fires at the end of the history.
    """

    alert: str
    subject: str
    start: float
    end: float
    peak: float
    ended: bool = True

    @property
    def seconds(self) -> float:
        """How long it fired."""
        return self.end - self.start


def runs(holds: Holds) -> Runs:
    """Return the stretches of evaluations in which a condition holds.

    >>> runs(np.array([False, True, True, False, True])).tolist()
    [[1, 3], [4, 5]]
    """
    edges = np.flatnonzero(np.diff(holds.astype(np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2)


def firing(held: Runs, *, wait: int, interval: int) -> Runs:
    """Return the stretches in which an alert fires, if its condition has to hold for `wait` as `for:` says.

    As in Prometheus, an alert is pending at the first evaluation at which the condition holds, fires at the first one
    at least `wait` later if it has held at all between, and is resolved at the first one at which it does not hold.

    >>> firing(np.array([[1, 3], [4, 9]]), wait=120, interval=60).tolist()
    [[6, 9]]
    """
    begun = held[:, 0] + -(-wait // interval)
    return np.stack((begun, held[:, 1]), axis=1)[begun < held[:, 1]]
