"""The protocol in front of aiohttp answers as aiohttp does, to requests of every shape."""

import asyncio
import functools
import gzip
import json
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import uvloop
from aiohttp import web

from sidecar.base.configfile import ByteSize
from sidecar.base.duration import Duration
from sidecar.config import Config, Limits, ModelConfig
from sidecar.monitor.monitor import Monitor
from sidecar.serve.ingest.front import HEAD_BYTES, Front, plain_head
from sidecar.serve.ingest.http import HTTP, Ingest
from tests.plugins.serving import event, fraud_profile

GOOD = json.dumps(event()).encode()
LIMITS = Limits(body_bytes=ByteSize(64 * 1024), inflight_bytes=ByteSize(100 * 1024), body_timeout=Duration("30s"))
PATIENCE_SECONDS = 20.0


def on_uvloop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on the event loop that the sidecar runs on."""

    @functools.wraps(test)
    def run(*args: Any, **arguments: Any) -> None:
        uvloop.run(test(*args, **arguments))

    return run


@dataclass(frozen=True, slots=True)
class Server:
    """A listener, and what lies behind it."""

    port: int
    monitor: Monitor
    ingest: Ingest
    front: Front


@asynccontextmanager
async def serving(*, plain: bool, limits: Limits = LIMITS, idle_seconds: float = 300.0) -> AsyncIterator[Server]:
    """Serve with the protocol in front where `plain`, else with aiohttp alone."""
    config = Config(models=(ModelConfig(name="fraud", reference="-"),))
    monitor = Monitor(config, {"fraud": fraud_profile()}, now=0.0, start=datetime.now(UTC))
    ingest = Ingest(monitor, limits, time.monotonic)
    ingest.open(HTTP)
    application = web.Application(client_max_size=limits.body_bytes)

    async def health(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    application.router.add_routes([web.post("/monitor", ingest.handler(HTTP)), web.get("/health", health)])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    front = Front(ingest, HTTP, runner.server, idle_seconds=idle_seconds)
    factory: Callable[[], asyncio.Protocol] = front if plain else runner.server
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    try:
        yield Server(server.sockets[0].getsockname()[1], monitor, ingest, front)
    finally:
        server.close()
        front.close()
        await runner.cleanup()


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.close()


@dataclass(frozen=True, slots=True)
class Reply:
    """What means something in an answer."""

    status: int
    content_type: str
    retry_after: str
    closes: bool
    body: Any


async def read_reply(reader: asyncio.StreamReader) -> Reply | None:
    """Read an answer; None at the end of the connection."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return None
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
    body = await reader.readexactly(int(fields.get("content-length", 0)))
    document = json.loads(body) if fields.get("content-type", "").startswith("application/json") else None
    status = int(head[0].split()[1])
    assert "date" in fields or status == 100
    closes = fields.get("connection", "keep-alive").lower() == "close"
    return Reply(status, fields.get("content-type", ""), fields.get("retry-after", ""), closes, document)


async def replies(server: Server, pieces: list[bytes]) -> list[Reply]:
    """Send the pieces and then a plain request that ends the connection; return every answer up to its end."""
    async with asyncio.timeout(PATIENCE_SECONDS), connected(server) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        writer.write(plain("Connection: close"))
        found = []
        while reply := await read_reply(reader):
            found.append(reply)
        return found


async def next_reply(reader: asyncio.StreamReader) -> Reply:
    """Read an answer; fails where there is none."""
    reply = await asyncio.wait_for(read_reply(reader), PATIENCE_SECONDS)
    assert reply is not None
    return reply


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - a state of the server, which tells nobody
            await asyncio.sleep(0.01)


def plain(*fields: str, body: bytes = GOOD, line: str = "POST /monitor HTTP/1.1", length: str | None = None) -> bytes:
    """Return a request; it has a Host and a Content-Length unless these are given as fields, or `length` is empty."""
    lines = [line, *fields]
    names = {field.partition(":")[0].lower() for field in fields}
    if "host" not in names:
        lines.insert(1, "Host: localhost")
    if "content-length" not in names and length != "":
        lines.append(f"Content-Length: {length or len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


NDJSON = "Content-Type: application/x-ndjson"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)
REQUESTS: dict[str, list[bytes]] = {
    "nothing before the last": [],
    "one": [plain()],
    "three at once": [plain() * 3],
    "a hundred at once": [plain() * 100],
    "head and body apart": [plain(length=str(len(GOOD)), body=b""), GOOD],
    "body in bytes": [plain(length=str(len(GOOD)), body=b""), *(GOOD[i : i + 1] for i in range(len(GOOD)))],
    "all in bytes": [plain()[i : i + 1] for i in range(len(plain()))],
    "cut in the head": [plain()[:30], plain()[30:]],
    "cut in the head of the second": [plain() + plain()[:30], plain()[30:]],
    "rest of a body with the next request": [plain()[:-5], plain()[-5:] + plain()],
    "lines": [plain(NDJSON, body=GOOD + b"\n" + GOOD)],
    "lines, names and type in capitals": [plain("CONTENT-TYPE: APPLICATION/X-NDJSON", body=GOOD + b"\n" + GOOD)],
    "lines, with a parameter": [plain(NDJSON + "; charset=utf-8 ", body=GOOD + b"\n" + GOOD)],
    "a type with nothing in it": [plain("Content-Type:")],
    "fields of no meaning": [plain("User-Agent: a (b; c)", "Accept: */*", "Cookie: a=b", "traceparent: 00-1-2-01")],
    "a bad event": [plain(body=b'{"features": {"amount": "x"}}')],
    "some bad events": [plain(body=b'[{"features": {"amount": "x"}}, {"features": {"amount": 1}}]')],
    "no JSON": [plain(body=b"hello")],
    "an empty body": [plain(body=b"")],
    "a body as large as the limit": [plain(body=GOOD.ljust(64 * 1024))],
    "keep-alive": [plain("Connection: keep-alive")],
    "keep-alive in capitals": [plain("Connection: Keep-Alive")],
    "close among others": [plain("Connection: TE, close")],
    "another path": [plain(line="POST /monitors HTTP/1.1")],
    "a query": [plain(line="POST /monitor?a=b HTTP/1.1")],
    "a whole address": [plain(line="POST http://x/monitor HTTP/1.1")],
    "an escaped path": [plain(line="POST /%6donitor HTTP/1.1")],
    "two slashes": [plain(line="POST //monitor HTTP/1.1")],
    "GET of it": [plain(line="GET /monitor HTTP/1.1", body=b"")],
    "GET between two": [plain() + plain(line="GET /health HTTP/1.1", body=b"", length="") + plain()],
    "HTTP/1.0": [plain(line="POST /monitor HTTP/1.0")],
    "HTTP/1.0 that would go on": [plain("Connection: keep-alive", line="POST /monitor HTTP/1.0")],
    "HTTP/2.0": [plain(line="POST /monitor HTTP/2.0")],
    "HTTP/1.10": [plain(line="POST /monitor HTTP/1.10")],
    "a method in small letters": [plain(line="post /monitor HTTP/1.1")],
    "two spaces": [plain(line="POST  /monitor HTTP/1.1")],
    "a tab": [plain(line="POST\t/monitor HTTP/1.1")],
    "a space at the end of the line": [plain(line="POST /monitor HTTP/1.1 ")],
    "an empty line before": [b"\r\n" + plain()],
    "no HTTP": [b"hello\r\n\r\n"],
    "TLS": [bytes.fromhex("160301020001000001fc0303")],
    "a line feed alone at the ends": [plain().replace(b"\r\n", b"\n")],
    "a line feed alone in a field": [plain("A: b\nTransfer-Encoding: chunked")],
    "a line feed alone before the body": [plain().replace(b"\r\n\r\n", b"\r\n\n")],
    "a carriage return alone": [plain("A: b\rC: d")],
    "a field that goes on in the next line": [plain("A: b\r\n c")],
    "a length that goes on in the next line": [plain(f"Content-Length: {len(GOOD)}\r\n 0")],
    "NUL in a field": [plain("A: b\0c")],
    "a letter that is not ASCII": [plain("A: b\xe9")],
    "a type that is not ASCII": [plain("Content-Type: \xe9")],
    "a name that is not ASCII": [plain("A\xe9: b")],
    "a space before the colon": [plain("A : b")],
    "a space before the colon of the length": [plain(f"Content-Length : {len(GOOD)}", length="")],
    "a space before a name": [plain(" A: b")],
    "no colon": [plain("A")],
    "no name": [plain(": b")],
    "a name with a bracket": [plain("A(: b")],
    "a field with nothing in it": [plain("A:")],
    "no host": [plain().replace(b"Host: localhost\r\n", b"")],
    "two hosts": [plain("Host: localhost", "Host: y")],
    "no length": [plain(length="", body=b"")],
    "two lengths that agree": [plain(f"Content-Length: {len(GOOD)}", f"Content-Length: {len(GOOD)}")],
    "two lengths": [plain(f"Content-Length: {len(GOOD)}", "Content-Length: 3")],
    "two lengths in one field": [plain(length=f"{len(GOOD)}, {len(GOOD)}")],
    "a length with a sign": [plain(length=f"+{len(GOOD)}")],
    "a negative length": [plain(length="-1")],
    "a length with zeros": [plain(length=f"00{len(GOOD)}")],
    "a length with spaces around": [plain(length=f"  {len(GOOD)}  ")],
    "a length in hexadecimal": [plain(length="0x10")],
    "a length with an underscore": [plain(length="1_0")],
    "a length in Arabic digits": [plain().replace(b"Content-Length: ", "Content-Length: \u0661".encode())],
    "a length with nothing in it": [plain().replace(f"Content-Length: {len(GOOD)}".encode(), b"Content-Length:")],
    "chunks": [plain("Transfer-Encoding: chunked", length="", body=CHUNKS)],
    "chunks and a length": [plain("Transfer-Encoding: chunked", body=CHUNKS)],
    "a length and chunks": [plain(f"Content-Length: {len(CHUNKS)}", "Transfer-Encoding: chunked", body=CHUNKS)],
    "chunks with a space before the colon": [plain("Transfer-Encoding : chunked", body=CHUNKS)],
    "chunks in capitals": [plain("TRANSFER-ENCODING: CHUNKED", length="", body=CHUNKS)],
    "chunks that are not": [plain("Transfer-Encoding: xchunked", body=CHUNKS)],
    "gzip": [plain("Content-Encoding: gzip", body=gzip.compress(GOOD))],
    "gzip that is none": [plain("Content-Encoding: gzip")],
    "an encoding that is none": [plain("Content-Encoding: identity")],
    "two types": [plain("Content-Type: application/json", NDJSON, body=GOOD + b"\n" + GOOD)],
    "a head longer than is plain": [plain(f"A: {'b' * HEAD_BYTES}")],
    "a head too long for all": [plain(f"A: {'b' * 20_000}")],
    "two hundred fields": [plain(*(f"A{i}: b" for i in range(200)))],
}


@pytest.mark.parametrize("pieces", REQUESTS.values(), ids=REQUESTS)
@on_uvloop
async def test_answers_as_aiohttp_alone(pieces: list[bytes]) -> None:
    async with serving(plain=True) as ours, serving(plain=False) as theirs:
        expected = await replies(theirs, pieces)
        assert await replies(ours, pieces) == expected
        assert expected
        assert ours.monitor.rejected == theirs.monitor.rejected
        assert ours.monitor.events == theirs.monitor.events


LAST_REQUESTS = {
    "close": plain("Connection: close"),
    "close in capitals": plain("Connection: CLOSE"),
    "an upgrade": plain("Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "a body larger than the limit": plain(length=str(64 * 1024 + 1), body=b""),
    "a body larger than all": plain(length="9" * 30, body=b""),
    "waiting to be told to go on": plain("Expect: 100-continue", length="5", body=b""),
    "waiting for something else": plain("Expect: 200-ok"),
}


@pytest.mark.parametrize("request_text", LAST_REQUESTS.values(), ids=LAST_REQUESTS)
@on_uvloop
async def test_answers_as_aiohttp_alone_to_the_last_request_of_a_connection(request_text: bytes) -> None:
    async with serving(plain=True) as ours, serving(plain=False) as theirs:
        found = []
        for server in (ours, theirs):
            async with connected(server) as (reader, writer):
                writer.write(request_text)
                found.append(await next_reply(reader))
        assert found[0] == found[1]


@on_uvloop
async def test_what_is_no_request_behind_one_is_refused_after_the_answer() -> None:
    async with serving(plain=True) as server:
        assert [reply.status for reply in await replies(server, [plain() + b"x\r\n\r\n"])] == [202, 400]


@on_uvloop
async def test_answers_as_aiohttp_alone_to_requests_with_a_byte_changed() -> None:
    choose = random.Random(1)
    whole = plain("Content-Type: application/json", "Accept: */*", "Connection: keep-alive")
    head = len(whole) - len(GOOD)
    async with serving(plain=True) as ours, serving(plain=False) as theirs:
        for _ in range(400):
            at, how = choose.randrange(head), choose.randrange(3)
            byte = bytes([choose.choice((0, 9, 10, 13, 32, 44, 48, 58, 127, 233, choose.randrange(256)))])
            changed = whole[:at] + (byte, b"", byte + whole[at : at + 1])[how] + whole[at + 1 :]
            read = plain_head(changed[: changed.find(b"\r\n\r\n") + 4])
            if read is None or read.length <= len(GOOD):  # else what is meant to end the connection is the body
                expected, found = await replies(theirs, [changed]), await replies(ours, [changed])
                # Where what follows is no request aiohttp refuses all that came with it; we answer what was whole.
                same = found[-1:] if [reply.status for reply in expected] == [400] else found
                assert same == expected, changed


def test_most_clients_are_answered_without_aiohttp() -> None:
    heads = {
        "curl": "User-Agent: curl/8.5.0\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: 2",
        "requests": "User-Agent: python-requests/2.32\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n"
        "Connection: keep-alive\r\nContent-Length: 2\r\nContent-Type: application/json",
        "Go": "User-Agent: Go-http-client/1.1\r\nContent-Length: 2\r\nContent-Type: application/x-ndjson\r\n"
        "Accept-Encoding: gzip",
        "Node": "content-type: application/json\r\naccept: */*\r\naccept-language: *\r\nsec-fetch-mode: cors\r\n"
        "user-agent: node\r\naccept-encoding: gzip, deflate\r\ncontent-length: 2\r\nConnection: keep-alive",
    }
    for name, fields in heads.items():
        head = plain_head(f"POST /monitor HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n".encode())
        assert head is not None, name
        assert head.length == 2


@on_uvloop
async def test_a_connection_stays_in_front_until_a_request_is_not_plain() -> None:
    async with serving(plain=True) as server, connected(server) as (reader, writer):
        for _ in range(3):
            writer.write(plain())
            assert await read_reply(reader) == Reply(202, "application/json", "", False, {"accepted": 1, "rejected": 0})
        assert len(server.front.connections) == 1
        writer.write(plain(line="GET /health HTTP/1.1", body=b"", length=""))
        assert (await next_reply(reader)).body == {"status": "ok"}
        assert not server.front.connections
        writer.write(plain())
        assert (await next_reply(reader)).status == 202


@on_uvloop
async def test_a_body_that_does_not_arrive_is_answered_408_and_makes_room() -> None:
    limits = Limits(inflight_bytes=ByteSize(1024), body_timeout=Duration("1s"))
    async with serving(plain=True, limits=limits) as server, connected(server) as (reader, writer):
        writer.write(plain(length="1024", body=b"{" + b" " * 1020))
        assert [reply.status for reply in await replies(server, [plain()])] == [503, 503]
        assert server.monitor.dropped[HTTP, "overload"] == 2
        reply = await asyncio.wait_for(read_reply(reader), PATIENCE_SECONDS)
        assert reply == Reply(408, "application/json", "", True, {"error": "the body did not arrive within 1s"})
        assert await reader.read() == b""
        assert [reply.status for reply in await replies(server, [plain()])] == [202, 202]
        assert server.monitor.rejected[HTTP, "unreadable"] == 1


@pytest.mark.parametrize("half", [True, False], ids=["one direction is closed", "both are"])
@on_uvloop
async def test_a_body_that_is_cut_short_is_counted_and_makes_room(half: bool) -> None:
    limits = Limits(inflight_bytes=ByteSize(1024))
    async with serving(plain=True, limits=limits) as server:
        async with connected(server) as (reader, writer):
            writer.write(plain(length="1024", body=b"{"))
            if half:
                writer.write_eof()
                assert (await next_reply(reader)).status == 400
        await eventually(
            lambda: bool(server.monitor.rejected[HTTP, "unreadable"]) and server.ingest.admission.has_room(1024)
        )
        assert [reply.status for reply in await replies(server, [plain()])] == [202, 202]
        assert server.monitor.rejected[HTTP, "unreadable"] == 1


@on_uvloop
async def test_a_request_whose_sender_then_closes_its_direction_is_answered() -> None:
    async with serving(plain=True) as server, connected(server) as (reader, writer):
        writer.write(plain())
        writer.write_eof()
        assert (await next_reply(reader)).status == 202
        assert await reader.read() == b""


@pytest.mark.parametrize("last", [b"", plain(line="GET /health HTTP/1.1", body=b"", length="")], ids=["plain", "not"])
@on_uvloop
async def test_who_does_not_read_the_answers_is_not_read_and_gets_all_of_them_later(last: bytes) -> None:
    requests = 10_000
    async with serving(plain=True) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(plain() * requests + last)
        stood_still, before = 0, -1
        while stood_still < 10:
            await asyncio.sleep(0.01)
            taken = server.monitor.events[HTTP]
            stood_still, before = (stood_still + 1 if taken == before else 0), taken
        assert 0 < taken < requests
        statuses = [(await next_reply(reader)).status for _ in range(requests + bool(last))]
        assert statuses == [202] * requests + [200] * bool(last)
        assert server.monitor.events[HTTP] == requests
        writer.close()


@on_uvloop
async def test_bodies_under_way_are_waited_for_when_it_stops_and_idle_connections_are_closed() -> None:
    async with serving(plain=True) as server, connected(server) as (reader, writer), connected(server) as idle:
        writer.write(plain()[:-5])
        await eventually(
            lambda: not server.ingest.admission.has_room(LIMITS.inflight_bytes) and len(server.front.connections) == 2
        )
        draining = asyncio.create_task(server.ingest.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        writer.write(plain()[-5:])
        await asyncio.wait_for(draining, PATIENCE_SECONDS)
        reply = await next_reply(reader)
        assert (reply.status, reply.closes) == (202, True)
        assert await reader.read() == b""
        server.front.close()
        assert await asyncio.wait_for(idle[0].read(), PATIENCE_SECONDS) == b""


@on_uvloop
async def test_idle_connections_are_closed_after_a_long_time() -> None:
    async with serving(plain=True, idle_seconds=0.2) as server, connected(server) as (reader, writer):
        writer.write(plain())
        assert await read_reply(reader)
        assert await asyncio.wait_for(reader.read(), PATIENCE_SECONDS) == b""
