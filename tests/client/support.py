"""Sidecars to send to, by each of the three ways in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model_sidecar_client import Client, Stats

from tests.plugins.serving import samples
from tools.process import SidecarProcess, sidecar

TRANSPORTS = ("http", "unix_stream", "unix_datagram")
EVENT = {"amount": 12.5, "merchant": "visa"}


@dataclass(frozen=True, slots=True)
class Listening:
    """A running sidecar, and its targets by transport."""

    process: SidecarProcess
    targets: dict[str, str]


@contextmanager
def listening(folder: Path, *, address: str = "127.0.0.1:0", config: Path | None = None) -> Iterator[Listening]:
    """Run a sidecar that listens on all three; a later --ingest.listen-address wins over an earlier one."""
    stream, datagram = folder / "stream", folder / "datagram"
    options = [f"--ingest.unix-stream={stream}", f"--ingest.unix-datagram={datagram}"]
    options.append(f"--ingest.listen-address={address}")
    with sidecar(folder, config=config, options=options) as process:
        targets = {"http": process.url, "unix_stream": f"unix://{stream}", "unix_datagram": f"unixgram://{datagram}"}
        yield Listening(process, targets)


def counted(url: str, transport: str) -> float:
    """Return how many events the sidecar says that it counted."""
    return samples(url)["model_sidecar_events_total", (("transport", transport),)]


def total(stats: Stats) -> int:
    """Return the number of events that were logged."""
    return stats.accepted + stats.rejected + sum(stats.dropped.values()) + stats.queued


@contextmanager
def client_to(target: str, *, batch_events: int = 500, queue_events: int = 10_000) -> Iterator[Client]:
    """Make a client that is closed with the block, however little of it can be sent."""
    client = Client(target, batch_events=batch_events, queue_events=queue_events, timeout_seconds=0.5)
    try:
        yield client
    finally:
        client.close(timeout=0.1)
