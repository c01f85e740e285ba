"""The work that is measured: events with normal features, a reference for them, and the bodies that carry them."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from demo.process import SidecarProcess, sidecar
from sidecar.event import Form
from sidecar.reference import Profile, build, save

REFERENCE_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Body:
    """A body to send, in one of the forms."""

    name: str
    form: Form
    content: bytes
    events: int


def values(rows: int, features: int) -> NDArray[np.float64]:
    """Return random values, the same for every run."""
    return np.random.default_rng(1).normal(size=(rows, features))


def profile(features: int, *, bins: int = 10) -> Profile:
    """Return a reference for `values`."""
    columns = values(REFERENCE_ROWS, features).T
    return build({f"feature_{i:03d}": column for i, column in enumerate(columns)}, bins=bins)


def bodies(features: int, *, events: int = 500) -> list[Body]:
    """Return a body of each form."""
    names = [f"feature_{i:03d}" for i in range(features)]
    rows = values(events, features)
    dicts = [{"features": dict(zip(names, row, strict=True)), "latency_ms": 12.5} for row in rows.tolist()]
    texts = [json.dumps(row, separators=(",", ":")) for row in dicts]
    columns = {name: column.tolist() for name, column in zip(names, rows.T, strict=True)}
    buffers = {name: column.tobytes() for name, column in zip(names, rows.T, strict=True)}
    latency = [12.5] * events
    return [
        Body("one object", Form.JSON, texts[0].encode(), 1),
        Body(f"array of {events}", Form.JSON, ("[" + ",".join(texts) + "]").encode(), events),
        Body(f"NDJSON of {events}", Form.NDJSON, "\n".join(texts).encode(), events),
        Body(
            f"columns of {events}, JSON",
            Form.JSON,
            json.dumps({"columns": {"features": columns, "latency_ms": latency}}, separators=(",", ":")).encode(),
            events,
        ),
        Body(
            f"columns of {events}, MessagePack",
            Form.MSGPACK,
            msgspec.msgpack.encode({"columns": {"features": buffers, "latency_ms": np.full(events, 12.5).tobytes()}}),
            events,
        ),
    ]


@contextmanager
def running_sidecar(features: int, *, bins: int = 10) -> Iterator[SidecarProcess]:
    """Run a sidecar with a reference of that many features."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(profile(features, bins=bins), folder / "profile.json")
        config = folder / "sidecar.yml"
        config.write_text("models:\n  - name: bench\n    reference: profile.json\n")
        with sidecar(folder, config=config) as process:
            yield process


def cpu_seconds(process: int) -> float:
    """Return user and system time of a process so far."""
    fields = Path(f"/proc/{process}/schedstat").read_text().split()
    return int(fields[0]) / 1e9


def resident_mebibytes(process: int) -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{process}/status has no VmRSS")
