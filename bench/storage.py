"""Storage: what keeping the state in files adds to an event, and what a checkpoint takes."""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import here, in_turn, median_milliseconds, repeated
from bench.work import Body, bodies, profile
from sidecar.config import Config, ModelConfig
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import StorageState
from sidecar.storage import checkpoint
from sidecar.storage.clock import Clock
from sidecar.storage.store import Pace, Store

FEATURES = (5, 200)
CONFIG = Config(models=(ModelConfig(name="bench", reference="-"),))
NEVER = 2**62
"""Bytes of a segment: checkpoints are measured apart."""


def main() -> None:
    """Print a table for a few and for many features."""
    print("storage: CPU µs an event, counted in memory and kept in a journal too; ms of a checkpoint")
    for features in FEATURES:
        print(f"\n{features} features".ljust(35) + f"{'memory':>8}{'kept':>9}{'more':>8}{'ratio':>7}")
        reference = {"bench": profile(features)}
        with tempfile.TemporaryDirectory() as directory:
            state = StorageState()
            store = Store(Path(directory), Clock(), state, Pace(segment_bytes=NEVER))
            kept = store.begin(CONFIG, reference)
            memory = Monitor(CONFIG, reference, now=0.0, start=datetime.now(UTC))
            for body in bodies(features):
                if body.name not in ("one object", "NDJSON of 500"):
                    continue
                for monitor in (memory, kept):
                    monitor.open_transport("bench")
                repeats = max(3, 2_000_000 // (body.events * features * 20))
                works = {
                    name: here(repeated(_submitting(monitor, body), repeats))
                    for name, monitor in (("memory", memory), ("kept", kept))
                }
                found = in_turn(works, events=repeats * body.events)
                alone, both = found["memory"], found["kept"]
                print(f"  {body.name:<32}{alone:>8.2f}{both:>9.2f}{both - alone:>8.2f}{both / alone:>7.2f}")
                store.checkpoint_now()
            _checkpoint(kept, store, state, Path(directory) / "state")


def _submitting(monitor: Monitor, body: Body) -> Callable[[], object]:
    return lambda: monitor.submit(body.content, body.form, transport="bench", now=1.0)


def _checkpoint(monitor: Monitor, store: Store, state: StorageState, path: Path) -> None:
    """Print what the loop waits for, and what is done in a thread."""
    taking = median_milliseconds(lambda: monitor.state(now=2.0))
    snapshot = checkpoint.decode(path.read_bytes())
    writing = median_milliseconds(lambda: checkpoint.write(snapshot, path))
    megabytes = state.checkpoint_bytes / 1e6
    print(
        f"  a checkpoint of {megabytes:.1f} MB holds up the loop for {taking:.1f} ms; writing it takes {writing:.0f} ms"
    )
