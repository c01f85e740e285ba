"""Model: the state of one model, and how a batch of its events changes it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import msgspec

from sidecar.config import ModelConfig
from sidecar.events.batch import Batch, Schema
from sidecar.events.wire_types import learning_schema
from sidecar.monitor.comparison import Comparison, ComparisonState
from sidecar.monitor.label_join import Labels, LabelsState
from sidecar.monitor.traffic import Traffic, TrafficState
from sidecar.reference.learn import Learner, LearnerState
from sidecar.reference.profile import CategoricalProfile, Profile
from sidecar.statistics.buffers import StateError


class Discarded(NamedTuple):
    """A part of a model whose counts a new configuration gives another meaning, and why."""

    model: str
    part: str
    reason: str


class ModelState(msgspec.Struct, frozen=True):
    """What a Model holds. Its events are decoded by `schema`, which may list more than its reference."""

    unknown: int
    schema: Schema
    traffic: TrafficState
    profile: Profile | None
    comparison: ComparisonState | None
    learner: LearnerState | None
    labels: LabelsState | None = None


class Model:
    """One model: its traffic, and either the comparison with its reference or the learning of one."""

    def __init__(self, config: ModelConfig, profile: Profile | None, *, now: float) -> None:
        self.config = config
        self.traffic = Traffic(config.latency, config.windows, now=now)
        self.unknown = 0
        self.learner: Learner | None = None
        self.comparison: Comparison | None = None
        self.labels = Labels(config.labels, config.windows, now=now) if config.labels else None
        self._set_reference(profile, now=now)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.config.name

    def schema(self) -> Schema:
        """Return the schema to begin to decode this model's events by."""
        schema = self.comparison.schema if self.comparison else learning_schema(self.name)
        return self.with_ids(schema)

    def with_ids(self, schema: Schema) -> Schema:
        """Return the schema, with ids where labels are awaited."""
        return replace(schema, ids=self.labels is not None)

    def observe(self, batch: Batch, *, now: float, wall: datetime) -> None:
        """Count a batch of this model's events; the last one to be learned from ends the learning."""
        self.traffic.observe(batch, now=now)
        self.unknown += batch.unknown
        if self.labels is not None:
            self.labels.keep(batch.identified, now=now)
        if self.learner is not None:
            used = self.learner.add(batch)
            if not self.learner.complete:
                return
            self._finish_learning(self.learner, now=now, wall=wall)
            batch = batch.from_row(used)
        assert self.comparison is not None  # for the type checker
        self.comparison.observe(batch.fitted(self.comparison.schema), now=now, wall=wall)

    def reconfigure(self, config: ModelConfig, profile: Profile | None, *, now: float) -> list[Discarded]:
        """Go on with another configuration and reference, keeping the counts that still mean the same.

        Returns what is discarded.
        """
        before, self.config = self.config, config
        discarded: dict[str, str] = {}
        windows = "windows changed" if before.windows != config.windows else None
        if reason := windows or ("latency buckets changed" if self.traffic.bounds != config.latency.bounds() else None):
            discarded["traffic"] = reason
            self.traffic = Traffic(config.latency, config.windows, now=now)
        if reason := windows or ("labels settings changed" if before.labels != config.labels else None):
            if self.labels is not None:
                discarded["labels"] = reason
            self.labels = Labels(config.labels, config.windows, now=now) if config.labels else None
            self._take_classes()
        if profile is None and before.reference is None and before.learn == config.learn:
            profile = self.comparison.profile if self.comparison else None
            if profile is None:
                return self._discarded(discarded)
        current = self.comparison
        if current is not None and current.windows == config.windows and current.profile == profile:
            current.judge(config.drift)
        else:
            other = "learn settings changed" if profile is None else "reference changed"
            if current is not None:
                discarded["comparison"] = "windows changed" if current.profile == profile else other
            elif self.learner is not None and self.learner.rows:
                discarded["learning"] = other
            self._set_reference(profile, now=now)
        return self._discarded(discarded)

    def discard(self, reason: str) -> list[Discarded]:
        """Return what is discarded where the model as a whole is."""
        held = {
            "traffic": True,
            "comparison": self.comparison is not None,
            "labels": self.labels is not None,
            "learning": self.learner is not None and self.learner.rows > 0,
        }
        return self._discarded({part: reason for part, there in held.items() if there})

    def _discarded(self, reasons: Mapping[str, str]) -> list[Discarded]:
        return [Discarded(self.name, part, reason) for part, reason in reasons.items()]

    def state(self, schema: Schema) -> ModelState:
        """Return a copy of everything that `restore` wants; events are decoded by `schema` now."""
        return ModelState(
            unknown=self.unknown,
            schema=schema,
            traffic=self.traffic.state(),
            profile=self.comparison.profile if self.comparison else None,
            comparison=self.comparison.state() if self.comparison else None,
            learner=self.learner.state() if self.learner else None,
            labels=self.labels.state() if self.labels else None,
        )

    def restore(self, state: ModelState) -> None:
        """Go on from a state of the same configuration and profile; raises StateError where it cannot be one."""
        self.unknown = state.unknown
        self.traffic.restore(state.traffic)
        if self.comparison is not None and state.comparison is not None:
            self.comparison.restore(state.comparison)
        elif self.learner is not None and state.learner is not None:
            self.learner.restore(state.learner)
        else:
            raise StateError(f"model {self.name!r} has a profile without counts, or counts without a profile")
        if (self.labels is None) != (state.labels is None):
            raise StateError(f"model {self.name!r} has labels that its configuration does not await, or lacks them")
        if self.labels is not None and state.labels is not None:
            self.labels.restore(state.labels)

    def _finish_learning(self, learner: Learner, *, now: float, wall: datetime) -> None:
        profile = learner.profile(model=self.name, model_version=self.config.version, created=wall)
        self._set_reference(profile, now=now)

    def _set_reference(self, profile: Profile | None, *, now: float) -> None:
        if profile is None:
            self.learner, self.comparison = Learner(self.config.learn), None
        else:
            config = self.config
            self.learner = None
            self.comparison = Comparison(config.name, profile, config.drift, config.windows, now=now)
        self._take_classes()

    def _take_classes(self) -> None:
        """Have labels compared by the classes of the reference."""
        if self.labels is not None:
            prediction = self.comparison.profile.output("prediction") if self.comparison else None
            self.labels.take_classes(prediction.bins() if isinstance(prediction, CategoricalProfile) else None)
