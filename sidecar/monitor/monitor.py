"""Monitor: the one owner of the state of all models, fed with bodies and read by everyone.

Single-threaded: events stay in a buffer until there are enough to count together, someone reads, or half a second is
over.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from sidecar.config import Config
from sidecar.events.batch import Batch
from sidecar.events.decode import Decoder
from sidecar.events.decoded import Decoded
from sidecar.events.forms import Form
from sidecar.events.label_decode import DecodedLabels, Label, LabelDecoder
from sidecar.events.refusals import BodyRefused, Refusal
from sidecar.exposition.catalogue import (
    DROP_REASONS,
    LABEL_REJECT_REASONS,
    REJECT_REASONS,
    BodyReason,
    DropReason,
    EventReason,
    LabelReason,
    Misjoined,
)
from sidecar.monitor.event_buffer import EventBuffer
from sidecar.monitor.model import Discarded, Model, ModelState
from sidecar.reference.profile import Profile
from sidecar.statistics.buffers import StateError

_STEP = timedelta(seconds=1)
"""Smallest change of the time of day that is taken for a step of the clock, not for the time between two reads."""

_MISJOINED: dict[Misjoined, tuple[str, str]] = {
    "unknown_id": ("$.id", "no prediction with this id is kept: there was none, or its time is over"),
    "duplicate": ("$.id", "the prediction has its label, and the first one counts"),
    "invalid": ("$.label", "expected a number, as the prediction was one"),
}


class MonitorState(msgspec.Struct, frozen=True):
    """What a Monitor holds. `epoch` is the time of day at 0 of its clock."""

    config: Config
    epoch: datetime
    models: dict[str, ModelState]
    events: dict[str, int]
    rejected: list[tuple[str, str, int]]
    dropped: list[tuple[str, str, int]]
    labels: dict[str, int] = {}
    labels_rejected: list[tuple[str, str, int]] = []


class Journal(Protocol):
    """Told of every change of a monitor's state, in order, after the change.

    Repeating the changes in order, each at its `now`, gives the same state to the bit.
    """

    def submitted(self, body: bytes, form: Form, *, transport: str, now: float) -> None:
        """Keep a body that was counted."""

    def submitted_texts(self, texts: Sequence[bytes], *, transport: str, now: float) -> None:
        """Keep events that came one by one and were counted."""

    def submitted_labels(self, body: bytes, form: Form, *, transport: str, now: float) -> None:
        """Keep a body of labels that was joined."""

    def rejected(self, transport: str, reason: str, count: int) -> None:
        """Keep what was refused outside of a body that was counted."""

    def rejected_labels(self, transport: str, reason: str, count: int) -> None:
        """Keep what was refused of labels outside of a body that was joined."""

    def dropped(self, transport: str, reason: str, count: int) -> None:
        """Keep what was lost."""

    def flushed(self, *, now: float) -> None:
        """Keep that the buffered events were counted."""

    def reconfigured(self, config: Config, profiles: Mapping[str, Profile | None], *, now: float) -> None:
        """Keep a change of the configuration."""

    def time_of_day_set(self, time_of_day: datetime, *, now: float) -> None:
        """Keep a change of the time of day."""


class Monitor:
    """Take bodies of events, keep the state of every model.

    `now` is in seconds of a clock that never goes back; `start` says what time of day `now` was at the beginning.
    The journal, where there is one, is told of everything that changes the state, before the caller is answered.
    """

    journal: Journal | None = None

    def __init__(self, config: Config, profiles: Mapping[str, Profile | None], *, now: float, start: datetime) -> None:
        self._config = config
        self._epoch = start - timedelta(seconds=now)
        self.models = {model.name: Model(model, profiles[model.name], now=now) for model in config.models}
        self._decoder = self._make_decoder(config)
        self._label_decoder = _label_decoder(config)
        self._buffer = EventBuffer()
        self.events: dict[str, int] = {}
        self.rejected: dict[tuple[str, str], int] = {}
        self.dropped: dict[tuple[str, str], int] = {}
        self.labels: dict[str, int] = {}
        self.labels_rejected: dict[tuple[str, str], int] = {}

    @classmethod
    def restored(cls, state: MonitorState, *, now: float) -> "Monitor":
        """Return a monitor that resumes from a state; raises StateError for an invalid one."""
        config = state.config
        if {model.name for model in config.models} != state.models.keys():
            raise StateError("the models are not those of the configuration")
        profiles = {name: model.profile for name, model in state.models.items()}
        monitor = cls(config, profiles, now=now, start=state.epoch + timedelta(seconds=now))
        for name, model in state.models.items():
            monitor.models[name].restore(model)
            monitor._decoder.schemas.replace(model.schema)
        monitor.events = dict(state.events)
        monitor.rejected = {(transport, reason): count for transport, reason, count in state.rejected}
        monitor.dropped = {(transport, reason): count for transport, reason, count in state.dropped}
        monitor.labels |= state.labels
        monitor.labels_rejected |= {(transport, reason): count for transport, reason, count in state.labels_rejected}
        return monitor

    def state(self, *, now: float) -> MonitorState:
        """Return a copy of everything that `restored` wants."""
        self.flush(now=now)
        return MonitorState(
            config=self._config,
            epoch=self._epoch,
            models={name: model.state(self._decoder.schemas[name]) for name, model in self.models.items()},
            events=dict(self.events),
            rejected=[(*key, count) for key, count in self.rejected.items()],
            dropped=[(*key, count) for key, count in self.dropped.items()],
            labels=dict(self.labels),
            labels_rejected=[(*key, count) for key, count in self.labels_rejected.items()],
        )

    def set_time_of_day(self, time_of_day: datetime, *, now: float) -> timedelta:
        """Follow a change of the time of day; returns the step, 0 if there was none."""
        epoch = time_of_day - timedelta(seconds=now)
        step = epoch - self._epoch
        if abs(step) <= _STEP:
            return timedelta()
        self._epoch = epoch
        if self.journal is not None:
            self.journal.time_of_day_set(time_of_day, now=now)
        return step

    def _make_decoder(self, config: Config) -> Decoder:
        limits = config.limits
        return Decoder(
            [model.schema() for model in self.models.values()],
            events_per_body=limits.events_per_body,
            values_per_body=limits.values_per_body,
            string_length=limits.string_length,
            features=limits.features,
        )

    def wall(self, now: float) -> datetime:
        """Return the time of day at `now`."""
        return self._epoch + timedelta(seconds=now)

    def open_transport(self, transport: str) -> None:
        """Begin to export the counters of a transport, from zero."""
        self.events.setdefault(transport, 0)
        for reason in REJECT_REASONS:
            self.rejected.setdefault((transport, reason), 0)
        for lost in DROP_REASONS:
            self.dropped.setdefault((transport, lost), 0)
        self.labels.setdefault(transport, 0)
        for of_label in LABEL_REJECT_REASONS:
            self.labels_rejected.setdefault((transport, of_label), 0)

    def submit(self, body: bytes, form: Form, *, transport: str, now: float) -> Decoded:
        """Count the events of a body; refused ones are counted too, and listed in the result.

        Raises Unreadable or TooMany where nothing of the body was counted.
        """
        try:
            decoded = self._decoder.decode(body, form)
        except BodyRefused as error:
            self.reject(transport, error.reason)
            raise
        self._count(decoded, len(body), transport=transport, now=now)
        if self.journal is not None:
            self.journal.submitted(body, form, transport=transport, now=now)
        return decoded

    def submit_texts(self, texts: Sequence[bytes], *, transport: str, now: float) -> Decoded:
        """Count JSON events that arrived one by one; refused ones are counted too, and listed in the result.

        None of them holds a newline: the journal keeps them as lines.
        """
        decoded = self._decoder.decode_texts(texts)
        self._count(decoded, sum(map(len, texts)), transport=transport, now=now)
        if self.journal is not None:
            self.journal.submitted_texts(texts, transport=transport, now=now)
        return decoded

    def _count(self, decoded: Decoded, body_bytes: int, *, transport: str, now: float) -> None:
        accepted = decoded.accepted
        self.events[transport] += accepted
        for reason, count in decoded.refusals.by_kind.items():
            self.rejected[transport, reason] += count
        if not accepted:
            return
        if self._buffer.due(now):
            self._flush()
        self._buffer.add(decoded.events, decoded.batch, body_bytes=body_bytes, now=now)
        if self._buffer.full:
            self._flush()

    def submit_labels(self, body: bytes, form: Form, *, transport: str, now: float) -> DecodedLabels:
        """Join the labels of a body to their predictions; refused ones are counted too, and listed in the result.

        Raises Unreadable or TooMany where nothing of the body was counted.
        """
        try:
            decoded = self._label_decoder.decode(body, form)
        except BodyRefused as error:
            self.reject_labels(transport, error.reason)
            raise
        self.flush(now=now)
        self._join(decoded, now=now)
        self.labels[transport] += decoded.accepted
        for reason, count in decoded.refusals.by_kind.items():
            self.labels_rejected[transport, reason] += count
        if self.journal is not None:
            self.journal.submitted_labels(body, form, transport=transport, now=now)
        return decoded

    def _join(self, decoded: DecodedLabels, *, now: float) -> None:
        by_model: dict[str, list[tuple[int, Label]]] = {}
        for index, label in decoded.labels:
            name = next(iter(self.models)) if label.model is None and len(self.models) == 1 else label.model
            model = self.models.get(name) if name is not None else None
            if model is None:
                told = "required, because there are several" if name is None else f"Invalid value {name[:100]!r}"
                reason = f"{told}; there is: {', '.join(self.models)}"
                decoded.refusals.add(Refusal(index, "$.model", reason, "unknown_model"))
            elif model.labels is None:
                reason = f"model {model.name!r} takes no labels: there is no `labels` in its configuration"
                decoded.refusals.add(Refusal(index, "$.model", reason, "not_configured"))
            else:
                by_model.setdefault(model.name, []).append((index, label))
        for name, found in by_model.items():
            labels = self.models[name].labels
            assert labels is not None  # checked in the loop above
            answers = labels.join([(label.id, label.label) for _, label in found], now=now)
            for (index, _), answer in zip(found, answers, strict=True):
                if answer is None:
                    decoded.accepted += 1
                else:
                    decoded.refusals.add(Refusal(index, *_MISJOINED[answer], answer))

    def reject_labels(self, transport: str, reason: BodyReason | LabelReason, count: int = 1) -> None:
        """Count labels, or a body that stands for one, as refused."""
        self.labels_rejected[transport, reason] += count
        if self.journal is not None:
            self.journal.rejected_labels(transport, reason, count)

    def reject(self, transport: str, reason: BodyReason | EventReason, count: int = 1) -> None:
        """Count events, or a body that stands for one, as refused."""
        self.rejected[transport, reason] += count
        if self.journal is not None:
            self.journal.rejected(transport, reason, count)

    def drop(self, transport: str, reason: DropReason, count: int = 1) -> None:
        """Count events, or a body that stands for one, as lost."""
        self.dropped[transport, reason] += count
        if self.journal is not None:
            self.journal.dropped(transport, reason, count)

    def flush(self, *, now: float) -> None:
        """Count the events in the buffer. To be called before reading, and about every half second."""
        if not self._buffer.empty:
            self._flush()
            if self.journal is not None:
                self.journal.flushed(now=now)

    def _flush(self) -> None:
        """Count the events in the buffer, as of the time when the last of them came."""
        for batch in self._buffer.take():
            self._observe(batch, now=self._buffer.last)

    def _observe(self, batch: Batch, *, now: float) -> None:
        model = self.models[batch.schema.model]
        model.observe(batch, now=now, wall=self.wall(now))
        if batch.schema.learning and model.comparison is not None:
            self._decoder.schemas.replace(model.schema())

    def reconfigure(self, config: Config, profiles: Mapping[str, Profile | None], *, now: float) -> list[Discarded]:
        """Go on with another configuration, and return what of the counts is discarded.

        The caller has checked it: nothing here is refused.
        """
        self.flush(now=now)
        models: dict[str, Model] = {}
        discarded: list[Discarded] = []
        for model_config in config.models:
            name = model_config.name
            if name in self.models:
                models[name] = self.models[name]
                discarded += models[name].reconfigure(model_config, profiles[name], now=now)
            else:
                models[name] = Model(model_config, profiles[name], now=now)
        for name in self.models.keys() - models.keys():
            discarded += self.models[name].discard("the model is no longer configured")
        self._config, self.models = config, models
        learned_so_far = {
            name: m.with_ids(self._decoder.schemas[name]) for name, m in models.items() if m.learner and m.learner.rows
        }
        self._decoder = self._make_decoder(config)
        self._label_decoder = _label_decoder(config)
        for schema in learned_so_far.values():
            self._decoder.schemas.replace(schema)
        if self.journal is not None:
            self.journal.reconfigured(config, profiles, now=now)
        return discarded


def _label_decoder(config: Config) -> LabelDecoder:
    limits = config.limits
    return LabelDecoder(labels_per_body=limits.events_per_body, string_length=limits.string_length)
