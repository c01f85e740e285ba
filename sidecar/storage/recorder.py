"""Recorder: writes each change of the monitor as a record of the current segment."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sidecar.config import Config
from sidecar.events import forms
from sidecar.events.forms import Form
from sidecar.reference.profile import Profile
from sidecar.storage.journal import Kind, Segment
from sidecar.storage.recovery import encode_configuration, encode_count, encode_time_of_day


class Recorder:
    """The journal of a monitor.

    While `segment` is None nothing is kept: there is a gap already, which the next checkpoint closes. `failed` is
    called where a record could not be appended, `grown` with the size of the segment after each that could.
    """

    def __init__(
        self, clock: Callable[[], float], *, failed: Callable[[OSError], None], grown: Callable[[int], None]
    ) -> None:
        self.segment: Segment | None = None
        self._clock = clock
        self._failed = failed
        self._grown = grown

    def replace(self, segment: Segment | None) -> None:
        """Append to another segment from now on, or to none."""
        if self.segment is not None:
            self.segment.close()
        self.segment = segment

    def submitted(self, body: bytes, form: Form, *, transport: str, now: float) -> None:
        """Keep a body that was counted."""
        self._append(Kind.BODY, transport, body, now=now, form=form)

    def submitted_texts(self, texts: Sequence[bytes], *, transport: str, now: float) -> None:
        """Keep events that came one by one and were counted."""
        self._append(Kind.TEXTS, transport, b"\n".join(texts), now=now)

    def submitted_labels(self, body: bytes, form: Form, *, transport: str, now: float) -> None:
        """Keep a body of labels that was joined."""
        self._append(Kind.LABELS, transport, body, now=now, form=form)

    def rejected(self, transport: str, reason: str, count: int) -> None:
        """Keep what was refused outside of a body that was counted."""
        self._append(Kind.REJECTED, transport, encode_count(reason, count), now=self._clock())

    def rejected_labels(self, transport: str, reason: str, count: int) -> None:
        """Keep what was refused of labels outside of a body that was joined."""
        self._append(Kind.LABELS_REJECTED, transport, encode_count(reason, count), now=self._clock())

    def dropped(self, transport: str, reason: str, count: int) -> None:
        """Keep what was lost."""
        self._append(Kind.DROPPED, transport, encode_count(reason, count), now=self._clock())

    def flushed(self, *, now: float) -> None:
        """Keep that events which waited were counted together."""
        self._append(Kind.FLUSHED, "", b"", now=now)

    def reconfigured(self, config: Config, profiles: Mapping[str, Profile | None], *, now: float) -> None:
        """Keep a change of the configuration."""
        self._append(Kind.RECONFIGURED, "", encode_configuration(config, profiles), now=now)

    def time_of_day_set(self, time_of_day: datetime, *, now: float) -> None:
        """Keep a change of the time of day."""
        self._append(Kind.TIME_OF_DAY, "", encode_time_of_day(time_of_day), now=now)

    def _append(self, kind: Kind, name: str, body: bytes, *, now: float, form: Form = forms.JSON) -> None:
        segment = self.segment
        if segment is None:
            return
        try:
            segment.append(kind, name, body, now=now, form=form)
        except OSError as error:
            self._failed(error)
            return
        self._grown(segment.size)
