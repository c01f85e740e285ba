"""The work that is measured: events with normal features, a reference for them, and the bodies that carry them."""

import http.client
import json
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.base.duration import Duration
from sidecar.config import Config, Limits, ModelConfig
from sidecar.events import forms
from sidecar.events.forms import Form
from sidecar.monitor.monitor import Monitor
from sidecar.reference import Profile, build, save
from tools.process import SidecarProcess, sidecar

REFERENCE_VALUES = 4_000_000
"""Values of all features of a reference, so that one of 5,000 features is built in seconds too."""


KEYS = ("one", "array", "ndjson", "columns", "msgpack")
"""The forms by the short names of figures, in the order of `bodies`."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body to send, in one of the forms."""

    key: str
    name: str
    form: Form
    content: bytes
    events: int


def values(rows: int, features: int) -> NDArray[np.float64]:
    """Return random values, the same for every run."""
    return np.random.default_rng(1).normal(size=(rows, features))


@cache
def profile(features: int, *, bins: int = 10) -> Profile:
    """Return a reference for `values`."""
    columns = values(min(20_000, REFERENCE_VALUES // features), features).T
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
        Body("one", "one object", forms.JSON, texts[0].encode(), 1),
        Body("array", f"array of {events}", forms.JSON, ("[" + ",".join(texts) + "]").encode(), events),
        Body("ndjson", f"NDJSON of {events}", forms.NDJSON, "\n".join(texts).encode(), events),
        Body(
            "columns",
            f"columns of {events}, JSON",
            forms.JSON,
            json.dumps({"columns": {"features": columns, "latency_ms": latency}}, separators=(",", ":")).encode(),
            events,
        ),
        Body(
            "msgpack",
            f"columns of {events}, MessagePack",
            forms.MSGPACK,
            msgspec.msgpack.encode({"columns": {"features": buffers, "latency_ms": np.full(events, 12.5).tobytes()}}),
            events,
        ),
    ]


@contextmanager
def running_sidecar(
    features: int, *, bins: int = 10, options: Sequence[str] = (), folder: Path | None = None, windows: str = ""
) -> Iterator[SidecarProcess]:
    """Run a sidecar with a reference of that many features; its sockets may be in `folder`."""
    with tempfile.TemporaryDirectory() as name:
        folder = folder or Path(name)
        save(profile(features, bins=bins), folder / "profile.json")
        config = folder / "sidecar.yml"
        limits = f"limits: {{features: {max(features, 1000)}, body_bytes: 64MiB}}\n"
        config.write_text(f"models:\n  - name: bench\n    reference: profile.json\n{windows}{limits}")
        with sidecar(folder, config=config, options=options) as process:
            yield process


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix stream socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


def connect(url: str) -> http.client.HTTPConnection:
    """Return a connection to a server that was given by its URL."""
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)


def posting(connection: http.client.HTTPConnection, body: Body) -> Callable[[], None]:
    """Return the sending of a body; raises RuntimeError where its events are not taken."""
    headers = {"Content-Type": body.form.media_types[0], "X-Form": body.key}

    def post() -> None:
        connection.request("POST", "/monitor", body.content, headers)
        reply = connection.getresponse()
        answer = reply.read()
        if reply.status != 202:
            raise RuntimeError(f"status {reply.status}: {answer!r}")

    return post


def monitor(features: int, *, bins: int = 10, windows: Sequence[str] = ("5m", "1h", "24h")) -> Monitor:
    """Return a monitor in this process, with a transport `bench`."""
    model = ModelConfig(name="bench", reference="-", windows=tuple(map(Duration, windows)))
    limits = Limits(features=max(features, 1000))
    result = Monitor(
        Config(models=(model,), limits=limits),
        {"bench": profile(features, bins=bins)},
        now=0.0,
        start=datetime.now(UTC),
    )
    result.open_transport("bench")
    return result


def samples(url: str) -> dict[str, float]:
    """Return what `/metrics` says now, by name and labels as they are written."""
    connection = connect(url)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name[:1] not in "#"}


def total(found: Mapping[str, float], metric: str) -> float:
    """Return the sum of a metric over its labels."""
    return sum(value for name, value in found.items() if name.partition("{")[0] == metric)
