"""The minimal receivers, as processes: `python -m bench.minimal http|datagram PROFILE [decode]`.

`http` is an aiohttp handler on uvloop that decodes a body, counts it in bins and answers; with `decode` it does not
count. `datagram` receives datagrams, blocking, and decodes and counts them in the same way: single events 256 at a
time, lines as they come; with `receive` it does nothing but receive. The line `listening address=…` says where.
"""

import asyncio
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from aiohttp import web

from bench.floors import Floor
from bench.work import profile
from sidecar.reference import load, save
from tools.process import started

STOP = b"?"
"""The datagram that ends the receiver, which then prints how many events it had."""

EVENTS_AT_ONCE = 256
DATAGRAM_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running minimal receiver: its process id and where it listens."""

    pid: int
    address: str


@contextmanager
def minimal(kind: str, features: int, *options: str) -> Iterator[Receiver]:
    """Run a minimal receiver for so many features."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "profile.json")
        save(profile(features), path)
        command = [sys.executable, "-m", "bench.minimal", kind, str(path), *options]
        with started(command, Path(name, "log"), listeners=1) as (process, [address]):
            yield Receiver(process.pid, address)


async def _serve(floor: Floor, *, count: bool) -> None:
    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        form = request.headers["X-Form"]
        if not count:
            floor.parse(body, form)
            return web.Response(status=202, body=b'{"accepted":1,"rejected":0}', content_type="application/json")
        matrix = floor.decode(body, form)
        floor.count(matrix)
        answer = b'{"accepted":%d,"rejected":0}' % matrix.shape[1]
        return web.Response(status=202, body=answer, content_type="application/json")

    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/monitor", take)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    print(f"msg=listening address={host}:{port}", flush=True)
    await asyncio.Event().wait()


def _receive(floor: Floor, folder: Path, *, count: bool) -> None:
    path = folder / "datagram"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
        receiving.bind(str(path))
        print(f"msg=listening address={path}", flush=True)
        waiting: list[bytes] = []
        while (datagram := receiving.recv(DATAGRAM_BYTES)) != STOP:
            if not count:
                continue
            if b"\n" in datagram:
                floor.count(floor.decode(datagram, "ndjson"))
                continue
            waiting.append(datagram)
            if len(waiting) == EVENTS_AT_ONCE:
                floor.count(floor.decode(b"\n".join(waiting), "ndjson"))
                waiting.clear()


def main(kind: str, path: Path, *options: str) -> None:
    """Serve until the process is ended."""
    floor = Floor(load(path))
    if kind == "http":
        uvloop.run(_serve(floor, count="decode" not in options))
    else:
        _receive(floor, path.parent, count="receive" not in options)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
