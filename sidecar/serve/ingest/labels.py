"""`POST /labels`: bodies of labels, received just as those of events are, and counted apart from them."""

from sidecar.events.forms import Form
from sidecar.events.label_decode import DecodedLabels
from sidecar.exposition.catalogue import BodyReason, DropReason
from sidecar.monitor.monitor import Monitor


class LabelIntake:
    """Hand bodies of labels to the monitor; for `Ingest`."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def open_transport(self, transport: str) -> None:
        """Begin to export the counters of a transport, from zero."""
        self._monitor.open_transport(transport)

    def submit(self, body: bytes, form: Form, *, transport: str, now: float) -> DecodedLabels:
        """Join the labels of a body; raises Unreadable or TooMany where nothing of it was counted."""
        return self._monitor.submit_labels(body, form, transport=transport, now=now)

    def reject(self, transport: str, reason: BodyReason) -> None:
        """Count a body as refused."""
        self._monitor.reject_labels(transport, reason)

    def drop(self, transport: str, reason: DropReason) -> None:
        """Count a body as lost, like one of events."""
        self._monitor.drop(transport, reason)
