"""Labels: what turned out to be true, joined to what a model had predicted, and counted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.base.duration import Duration
from sidecar.config import FIRST_CLASSES, OTHER_CLASS, LabelsConfig
from sidecar.events.batch import UNFIT_NAME, Identified, Identifier
from sidecar.exposition.catalogue import Misjoined
from sidecar.monitor.pending_predictions import Pending, PendingState, Said, Saying, digest, digests
from sidecar.statistics import quality
from sidecar.statistics.bins import CategoricalBins, Category, Floats, category_text
from sidecar.statistics.buffers import StateError
from sidecar.statistics.quality import CALIBRATION_BINS
from sidecar.statistics.window import Sums, SumsState, Windows, WindowsState

"""Why a label was not counted: no prediction is kept for its id, it has a label, or the label is no number."""

_LABELS, _GONE, _CORRECT, _DIFFERENCES = range(4)
_CALIBRATION = 4
_CAME_TRUE = _CALIBRATION + CALIBRATION_BINS
_OUTCOMES = _CAME_TRUE + CALIBRATION_BINS

_BRIER, _ABSOLUTE, _SQUARED = range(3)
_PROBABILITY = 3
_SUMS = _PROBABILITY + CALIBRATION_BINS

_LARGEST_DIFFERENCE = 1e100
"""Differences of numbers are cut here, so that no square or sum of them is infinite, from which no sum recovers."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted, since the start or in windows; then every array has an axis of windows first.

    `labels` are those joined, `gone` predictions that were forgotten without one. `outcomes` (predicted by actual) are
    of the classes that are told apart, and of all others together; `correct` is exact for those, too. Brier score and
    calibration are of the labels whose prediction had a probability, `differences` those of numbers.
    """

    labels: NDArray[np.int64]
    gone: NDArray[np.int64]
    correct: NDArray[np.int64]
    outcomes: NDArray[np.int64]
    calibration: NDArray[np.int64]
    came_true: NDArray[np.int64]
    probability: Floats
    brier: Floats
    differences: NDArray[np.int64]
    absolute: Floats
    squared: Floats


@dataclass(frozen=True, slots=True)
class QualityReading:
    """Statistics of every window, arrays of shape `(windows,)` or `(windows, classes)`; NaN is what cannot be said."""

    labels: NDArray[np.int64]
    coverage: Floats
    accuracy: Floats
    precision: Floats
    recall: Floats
    brier_score: Floats
    calibration_error: Floats
    mean_absolute_error: Floats
    root_mean_square_error: Floats


class LabelsState(msgspec.Struct, frozen=True):
    """What Labels hold; `since` is when they began."""

    since: float
    classes: list[str]
    pending: PendingState
    windows: WindowsState
    sums: SumsState
    kept: int
    repeated: int
    expired: int
    evicted: int


class Labels:
    """Keep the predictions of a model that have an id, and count the labels that come for them.

    Windows are of the time at which a label comes.
    """

    def __init__(self, config: LabelsConfig, windows: Sequence[Duration], *, now: float) -> None:
        self.config = config
        self.windows = tuple(windows)
        self.pending = Pending(config.most, config.ttl.seconds)
        self.kept = self.repeated = self.expired = self.evicted = 0
        self._most_classes = len(config.classes) or FIRST_CLASSES
        self._classes: dict[str, tuple[int, int]] = {}
        self._texts: dict[Category, Saying] = {}  # of known classes, to avoid a second look-up
        for name in (*config.classes, *(() if config.positive is None else (config.positive,))):
            self._class(name)
        self._bins: CategoricalBins | None = None
        self._positive = None if config.positive is None else digest(config.positive)
        self._since = now
        lengths = [window.seconds for window in windows]
        self._windows = Windows(_OUTCOMES + (self._most_classes + 1) ** 2, lengths, now=now)
        self._sums = Sums(_SUMS, lengths, now=now)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes known so far."""
        return tuple(self._classes)

    def take_classes(self, bins: CategoricalBins | None) -> None:
        """Take numbers and booleans for the classes of a reference, where the configuration lists none.

        `bins` are those of its prediction; None where that is a number or unknown.
        """
        self._bins = None if self.config.classes else bins
        self._texts.clear()
        if self.config.positive is not None:
            self._positive = digest(self._name(self.config.positive))

    def keep(self, identified: Identified, *, now: float) -> None:
        """Keep predictions until their labels come."""
        if not identified.ids:
            return
        self.expire(now=now)
        keys, known = digests(identified.ids), self._texts
        sayings = [known.get(prediction) or self._saying(prediction) for prediction in identified.predictions]
        probabilities = np.array(identified.probabilities, dtype=np.float64)
        repeated, evicted = self.pending.keep(keys, sayings, probabilities, now=now)
        self.kept += len(keys) - repeated
        self.repeated += repeated
        self.evicted += evicted
        if evicted:
            self._windows.add_counts(_GONE, np.array([evicted]), now=now)

    def expire(self, *, now: float) -> None:
        """Forget predictions whose time is over.

        Each counts at its own time, so that it makes no difference when somebody looks.
        """
        for then, expired in self.pending.expire(now=now):
            self.expired += expired
            self._windows.add_counts(_GONE, np.array([expired]), now=then)

    def join(self, labels: Sequence[tuple[Identifier, Category]], *, now: float) -> list[Misjoined | None]:
        """Count labels, and return for each why it was not, or None."""
        self.expire(now=now)
        indices: list[int] = []
        sums = [0.0] * _SUMS
        keys = digests([id_ for id_, _ in labels])
        answers = [self._join(key, label, indices, sums) for key, (_, label) in zip(keys, labels, strict=True)]
        if indices:
            self._windows.add(np.array(indices), now=now)
            self._sums.add(np.array(sums), now=now)
        return answers

    def _join(self, key: int, label: Category, indices: list[int], sums: list[float]) -> Misjoined | None:
        number = self.pending.find(key)
        if number is None:
            return "unknown_id"
        if self.pending.labelled(number):
            return "duplicate"
        predicted = self.pending.saying(number)
        if predicted.said == Said.NUMBER:
            if not isinstance(label, int | float) or isinstance(label, bool):
                return "invalid"
            difference = min(abs(predicted.number - label), _LARGEST_DIFFERENCE)
            indices.append(_DIFFERENCES)
            sums[_ABSOLUTE] += difference
            sums[_SQUARED] += difference**2
        else:
            assert label is not None  # the wire has no such label
            probability = self.pending.probability(number)
            self._compare(predicted, probability, *self._class(self._name(label)), indices, sums)
        indices.append(_LABELS)
        self.pending.settle(number)
        return None

    def _compare(
        self,
        predicted: Saying,
        probability: float,
        actual: int,
        exactly: int,
        indices: list[int],
        sums: list[float],
    ) -> None:
        """Count a class, the one at the index `actual`, whose digest is `exactly`."""
        correct = predicted.said == Said.CLASS and predicted.class_digest == exactly
        if predicted.said == Said.CLASS:
            indices.append(_OUTCOMES + predicted.class_index * (self._most_classes + 1) + actual)
            if correct:
                indices.append(_CORRECT)
        elif self._positive is None:
            return  # a probability, and nothing that says of what
        if not math.isnan(probability):
            came_true = correct if self._positive is None else exactly == self._positive
            at = quality.calibration_bin(probability)
            indices.append(_CALIBRATION + at)
            if came_true:
                indices.append(_CAME_TRUE + at)
            sums[_PROBABILITY + at] += probability
            sums[_BRIER] += (probability - came_true) ** 2

    def _saying(self, prediction: Category) -> Saying:
        if prediction is None or (isinstance(prediction, float) and not math.isfinite(prediction)):
            return Saying(Said.NOTHING, 0, 0, 0.0)
        number = isinstance(prediction, int | float) and not isinstance(prediction, bool)
        if number and self._bins is None and not self.config.classes and self.config.positive is None:
            return Saying(Said.NUMBER, 0, 0, float(prediction))
        index, exactly = self._class(self._name(prediction))
        saying = Saying(Said.CLASS, index, exactly, 0.0)
        if isinstance(prediction, str) and index < self._most_classes:
            self._texts[prediction] = saying
        return saying

    def _name(self, value: str | bool | int | float) -> str:
        known = None if self._bins is None else self._bins.category(value)
        return category_text(value) if known is None else known

    def _class(self, name: str) -> tuple[int, int]:
        """Return the index of a class, and the digest that tells it from all that share the index.

        What cannot be the value of a label, such as no text at all, is among the others.
        """
        known = self._classes.get(name)
        if known is not None:
            return known
        found = digest(name)
        if len(self._classes) >= self._most_classes or name == OTHER_CLASS or UNFIT_NAME.search(name):
            return self._most_classes, found
        self._classes[name] = len(self._classes), found
        return self._classes[name]

    def state(self) -> LabelsState:
        """Return a copy of everything that `restore` wants."""
        return LabelsState(
            since=self._since,
            classes=list(self._classes),
            pending=self.pending.state(),
            windows=self._windows.state(),
            sums=self._sums.state(),
            kept=self.kept,
            repeated=self.repeated,
            expired=self.expired,
            evicted=self.evicted,
        )

    def restore(self, state: LabelsState) -> None:
        """Go on from a state of the same configuration and windows; raises StateError where it cannot be one."""
        if len(set(state.classes)) != len(state.classes) or len(state.classes) > self._most_classes:
            raise StateError("there are more classes than are told apart, or one is there twice")
        self._classes = {name: (i, digest(name)) for i, name in enumerate(state.classes)}
        self.pending.restore(state.pending, classes=self._most_classes)
        self._windows.restore(state.windows)
        self._sums.restore(state.sums)
        self._since = state.since
        self.kept, self.repeated = state.kept, state.repeated
        self.expired, self.evicted = state.expired, state.evicted

    def ever(self) -> Tally:
        """Return what was counted since the start."""
        return self._tally(self._windows.ever(), self._sums.ever())

    def counts(self, *, now: float) -> Tally:
        """Return what was counted in each window."""
        self.expire(now=now)
        return self._tally(self._windows.counts(now=now), self._sums.sums(now=now))

    def _tally(self, counts: NDArray[np.int64], sums: Floats) -> Tally:
        side = self._most_classes + 1
        return Tally(
            labels=counts[..., _LABELS],
            gone=counts[..., _GONE],
            correct=counts[..., _CORRECT],
            outcomes=counts[..., _OUTCOMES:].reshape(*counts.shape[:-1], side, side),
            calibration=counts[..., _CALIBRATION:_CAME_TRUE],
            came_true=counts[..., _CAME_TRUE:_OUTCOMES],
            probability=sums[..., _PROBABILITY:],
            brier=sums[..., _BRIER],
            differences=counts[..., _DIFFERENCES],
            absolute=sums[..., _ABSOLUTE],
            squared=sums[..., _SQUARED],
        )

    def read(self, *, now: float) -> QualityReading:
        """Return the statistics of every window. Those of fewer than `min_labels` are NaN.

        So is the coverage until predictions of the start have had their time: before, only those are settled that
        have a label.
        """
        tally = self.counts(now=now)
        classes = len(self._classes)
        decided, probable = tally.outcomes.sum(axis=(-2, -1)), tally.calibration.sum(axis=-1)
        had_their_time = now >= self._since + self.config.ttl.seconds
        settled = tally.labels + tally.gone if had_their_time else np.zeros_like(tally.labels)
        return QualityReading(
            labels=tally.labels.copy(),
            coverage=self._enough(quality.ratio(tally.labels, settled), settled),
            accuracy=self._enough(quality.ratio(tally.correct, decided), decided),
            precision=self._enough(quality.precision(tally.outcomes)[:, :classes], decided[:, None]),
            recall=self._enough(quality.recall(tally.outcomes)[:, :classes], decided[:, None]),
            brier_score=self._enough(quality.ratio(tally.brier, probable), probable),
            calibration_error=self._enough(
                quality.calibration_error(tally.calibration, tally.came_true, tally.probability), probable
            ),
            mean_absolute_error=self._enough(quality.ratio(tally.absolute, tally.differences), tally.differences),
            root_mean_square_error=self._enough(
                np.sqrt(quality.ratio(tally.squared, tally.differences)), tally.differences
            ),
        )

    def _enough(self, values: Floats, samples: NDArray[np.int64]) -> Floats:
        return np.where(samples >= self.config.min_labels, values, np.nan)
