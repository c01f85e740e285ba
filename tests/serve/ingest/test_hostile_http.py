"""Clients that mean harm, against real sockets: they get 4xx or are closed, count nothing and hold up nobody."""

import json
import re
import resource
import selectors
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.plugins.serving import (
    Start,
    changes,
    connected,
    event,
    fraud_config,
    get,
    post,
    samples,
    value,
    wait_until,
)
from tools.process import SidecarProcess, sidecar

EVENT = json.dumps(event()).encode()
SMUGGLED = b"POST /monitor HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(EVENT), EVENT)
READ_TIMEOUT = "--web.read-timeout=1s"
MANY = 10_000


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    """Run one sidecar that gives up what does not come within a second."""
    directory = tmp_path_factory.mktemp("impatient")
    config = fraud_config(directory, "limits: {body_bytes: 64KiB, body_timeout: 1s}\n")
    with sidecar(directory, config=config, web=1, options=[READ_TIMEOUT]) as process:
        yield process


def head(*lines: str, method: str = "POST /monitor HTTP/1.1") -> bytes:
    return "\r\n".join([method, "Host: localhost", *lines, "", ""]).encode("latin-1")


def with_length(*lines: str, body: bytes = EVENT) -> bytes:
    return head(*lines) + body


def chunked(chunks: bytes, *lines: str) -> bytes:
    return head("Transfer-Encoding: chunked", *lines) + chunks


LENGTH = f"Content-Length: {len(EVENT)}"
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)

REFUSED = {
    "a length and chunks": chunked(b"0\r\n\r\n" + SMUGGLED, LENGTH),
    "chunks and a length": with_length(LENGTH, "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED),
    "the same length twice": with_length(LENGTH, LENGTH),
    "two lengths": with_length(LENGTH, "Content-Length: 0", body=EVENT + SMUGGLED),
    "two lengths in one field": with_length(f"Content-Length: {len(EVENT)}, {len(EVENT)}"),
    "a negative length": with_length("Content-Length: -1"),
    "a length with a sign": with_length(f"Content-Length: +{len(EVENT)}"),
    "a length in hexadecimal": with_length(f"Content-Length: {len(EVENT):#x}"),
    "a length past 64 bits": with_length("Content-Length: 18446744073709551617"),
    "a length of 400 digits": with_length(f"Content-Length: {'9' * 400}"),
    "a length with an underscore": with_length("Content-Length: 1_0"),
    "an empty length": with_length("Content-Length:"),
    "a space before the colon": with_length(f"Content-Length : {len(EVENT)}"),
    "a folded field": with_length(LENGTH, "X-Folded: a", " b"),
    "a folded length": with_length("Content-Length:", f" {len(EVENT)}"),
    "a field without a colon": with_length(LENGTH, "Nothing"),
    "a field without a name": with_length(LENGTH, ": x"),
    "NUL in the name of a field": with_length(LENGTH, "X\0Y: z"),
    "NUL in a field": with_length(LENGTH, "X: a\0b"),
    "a carriage return in a field": with_length(LENGTH, "X: a\rContent-Length: 0"),
    "NUL in the path": with_length(LENGTH).replace(b"/monitor", b"/monitor\0"),
    "NUL for a request": b"\0" * 100,
    "chunks that are not the last coding": with_length("Transfer-Encoding: chunked, identity", body=CHUNK),
    "a coding that is hardly chunks": with_length("Transfer-Encoding: xchunked", body=CHUNK),
    "chunks after a vertical tab": with_length("Transfer-Encoding: \x0bchunked", body=CHUNK),
    "chunks twice": with_length("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=CHUNK),
    "a chunk of a negative size": chunked(b"-1\r\n" + EVENT + b"\r\n0\r\n\r\n"),
    "a chunk of a size past 64 bits": chunked(b"1" + b"0" * 16 + b"\r\n" + EVENT + b"\r\n0\r\n\r\n"),
    "a chunk size with 0x": chunked(b"0x" + CHUNK + b"0\r\n\r\n"),
    "a chunk that is longer than it says": chunked(b"5\r\n" + EVENT + b"\r\n0\r\n\r\n"),
    "a line feed in an extension": chunked(b"%x;a\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT)),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "HTTP/9.9": b"POST /monitor HTTP/9.9\r\nHost: localhost\r\n" + LENGTH.encode() + b"\r\n\r\n" + EVENT,
    "a tab in the first line": head(LENGTH, method="POST\t/monitor HTTP/1.1") + EVENT,
    "a method of ten thousand letters": head(method="A" * 10_000 + " / HTTP/1.1"),
    "a field of a hundred thousand bytes": with_length(LENGTH, "X: " + "a" * 100_000),
    "ten thousand fields": with_length(LENGTH, *(f"X-{i}: {i}" for i in range(10_000))),
    "a name of a hundred thousand bytes": with_length(LENGTH, "X" * 100_000 + ": a"),
    "TLS where there is none": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
    "no HTTP at all": b"hello\r\n\r\n",
}


def everything(url: str, request: bytes) -> bytes:
    """Send a request and return all that is answered until the server closes the connection."""
    answer = b""
    with connected(url) as connection:
        try:
            connection.sendall(request)
            while received := connection.recv(65_536):
                answer += received
        except (ConnectionResetError, BrokenPipeError):
            pass  # it was closed while there was still something to read
    return answer


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


@pytest.mark.parametrize("listener", ["ingest", "web"])
@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED)
def test_a_request_of_a_hostile_shape_is_refused_and_counts_nothing(
    impatient: SidecarProcess, request_bytes: bytes, listener: str
) -> None:
    before = samples(impatient.url)
    url = impatient.url if listener == "ingest" else impatient.web_urls[0]
    answer = everything(url, request_bytes)
    assert statuses(answer) == [400], answer
    assert changes(before, samples(impatient.url)) == {}
    assert_well(impatient)


def test_a_chunk_extension_without_end_is_given_up_as_a_body_that_does_not_arrive(impatient: SidecarProcess) -> None:
    request = chunked(b"5;" + b"a" * 100_000)
    before = samples(impatient.url)
    assert statuses(everything(impatient.url, request)) == [408]
    assert changes(before, samples(impatient.url)) == {("model_sidecar_events_rejected_total", "unreadable"): 1}
    assert statuses(everything(impatient.web_urls[0], request)) == [404]
    assert_well(impatient)


@pytest.mark.parametrize(
    ("request_bytes", "status"), [(b"GET /drift\r\n\r\n", b"200"), (b"POST /monitor\r\n\r\n" + EVENT, b"400")]
)
def test_http_0_9_can_read_and_not_write(impatient: SidecarProcess, request_bytes: bytes, status: bytes) -> None:
    before = samples(impatient.url)
    assert re.findall(rb"HTTP/\d\.\d (\d{3}) ", everything(impatient.url, request_bytes)) == [status]
    assert ("model_predictions_total", "") not in changes(before, samples(impatient.url))
    assert_well(impatient)


def test_garbage_behind_a_request_costs_the_connection_and_not_the_request(impatient: SidecarProcess) -> None:
    before = samples(impatient.url)
    with connected(impatient.url) as connection:
        connection.sendall(SMUGGLED)
        assert statuses(connection.recv(1000)) == [202]
        connection.sendall(b"\0garbage\r\n\r\n" + SMUGGLED)
        assert statuses(connection.recv(1000)) == [400]
    assert changes(before, samples(impatient.url))["model_predictions_total", ""] == 1
    assert_well(impatient)


def test_a_request_in_the_body_of_another_is_a_body(impatient: SidecarProcess) -> None:
    before = samples(impatient.url)
    body = SMUGGLED
    answer = everything(impatient.url, with_length(f"Content-Length: {len(body)}", body=body))
    assert statuses(answer) == [400]
    assert changes(before, samples(impatient.url)) == {("model_sidecar_events_rejected_total", "unreadable"): 1}


def test_an_upgrade_that_is_not_spoken_is_passed_over(impatient: SidecarProcess) -> None:
    upgrade = head("Upgrade: h2c", "Connection: close, Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk", LENGTH)
    before = samples(impatient.url)
    assert statuses(everything(impatient.url, upgrade + EVENT)) == [202]
    assert changes(before, samples(impatient.url))["model_predictions_total", ""] == 1
    assert_well(impatient)


def assert_well(process: SidecarProcess) -> None:
    for url in (process.url, *process.web_urls):
        assert get(url, "/-/ready").status == 200
    assert "level=error" not in process.log.read_text()
    assert process.process.poll() is None


# Slowly


class Dripping(threading.Thread):
    """Send a request byte by byte on many connections, until the server has closed all of them."""

    def __init__(self, url: str, start: bytes, drip: bytes, connections: int) -> None:
        super().__init__(daemon=True)
        parts = urlsplit(url)
        self.open = [socket.create_connection((parts.hostname, parts.port), timeout=30) for _ in range(connections)]
        self.answers: list[bytes] = []
        self._drip = drip
        for connection in self.open:
            connection.sendall(start)
            connection.setblocking(False)

    def run(self) -> None:
        tick = threading.Event()
        while self.open:
            tick.wait(0.05)
            for connection in tuple(self.open):
                try:
                    with suppress(ConnectionError):  # a reset, which does not take what was received before it
                        connection.send(self._drip)
                    answer = connection.recv(65_536)
                except BlockingIOError:
                    continue
                except OSError:
                    answer = b""
                self.answers.append(answer)
                self.open.remove(connection)
                connection.close()


@pytest.mark.parametrize("listener", ["ingest", "web"])
def test_heads_that_drip_are_given_up_while_others_are_served(impatient: SidecarProcess, listener: str) -> None:
    url = impatient.url if listener == "ingest" else impatient.web_urls[0]
    before = samples(impatient.url)
    dripping = Dripping(url, b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X", connections=100)
    dripping.start()
    assert post(impatient.url, event()).status == 202
    assert get(impatient.web_urls[0], "/metrics").status == 200
    dripping.join(30)
    assert not dripping.is_alive()
    assert {status for answer in dripping.answers for status in statuses(answer)} <= {400, 408}
    assert changes(before, samples(impatient.url))["model_predictions_total", ""] == 1
    assert_well(impatient)


def test_bodies_that_drip_are_given_up_while_others_are_served(impatient: SidecarProcess) -> None:
    before = samples(impatient.url)
    dripping = Dripping(impatient.url, head("Content-Length: 60000"), b" ", connections=100)
    dripping.start()
    assert post(impatient.url, event()).status == 202
    dripping.join(30)
    assert not dripping.is_alive()
    assert {tuple(statuses(answer)) for answer in dripping.answers} == {(408,)}
    delta = changes(before, samples(impatient.url))
    assert delta["model_sidecar_events_rejected_total", "unreadable"] == 100
    assert delta["model_predictions_total", ""] == 1
    assert_well(impatient)


@pytest.mark.parametrize("listener", ["ingest", "web"])
def test_a_client_that_takes_no_answers_is_given_up(impatient: SidecarProcess, listener: str) -> None:
    url = impatient.url if listener == "ingest" else impatient.web_urls[0]
    parts = urlsplit(url)
    idle = open_sockets(impatient)
    with ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(closing(socket.socket()))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((parts.hostname, parts.port))
            client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400)
        wait_until(lambda: open_sockets(impatient) <= idle)
    assert_well(impatient)


def open_sockets(process: SidecarProcess) -> int:
    folder = Path(f"/proc/{process.process.pid}/fd")
    found = 0
    for descriptor in folder.iterdir():
        try:
            found += str(descriptor.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue  # it was closed since
    return found


# Many


def resident_bytes(process: SidecarProcess) -> int:
    pages = Path(f"/proc/{process.process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process open as many files as it takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < MANY + 1000:
        pytest.fail(f"this process may open {hard} files; the test needs {MANY + 1000}: raise it with ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def refused(process: SidecarProcess, listener: str) -> float:
    return value(samples(process.url), "model_sidecar_connections_refused_total", listener=listener)


def test_ten_thousand_idle_connections_keep_nobody_out(start: Start, tmp_path: Path, many_files: None) -> None:
    process = start(fraud_config(tmp_path), web=1)
    url = process.web_urls[0]
    parts = urlsplit(url)
    get(url, "/metrics")
    before = resident_bytes(process)
    with ExitStack() as stack:
        for number in range(MANY):
            stack.enter_context(closing(socket.create_connection((parts.hostname, parts.port), timeout=30)))
            if number % 1000 == 999:
                assert get(url, "/metrics").status == 200
        assert post(process.url, event()).status == 202
        assert get(url, "/drift").status == 200
        assert open_sockets(process) < 1200
        assert resident_bytes(process) - before < 64 * 2**20
        # As many stay as it keeps; every other one was closed to make room for a later one.
        assert MANY - 600 <= refused(process, "web") <= MANY
    assert_well(process)


def test_a_full_ingest_listener_refuses_with_503_and_keeps_whom_it_has(start: Start, tmp_path: Path) -> None:
    process = start(fraud_config(tmp_path), web=1, options=["--web.max-connections=5", READ_TIMEOUT])
    with ExitStack() as stack:
        held = [stack.enter_context(connected(process.url)) for _ in range(5)]
        reply = post(process.url, event())
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        assert value(scraped(process), "model_sidecar_connections_refused_total", listener="ingest") == 1
        assert value(scraped(process), "model_predictions_total") == 0
        held[0].sendall(SMUGGLED)
        assert held[0].recv(1000).startswith(b"HTTP/1.1 202")
        # Those who go on saying nothing are given up, and there is room again.
        assert [connection.recv(10) for connection in held] == [b""] * 5
    wait_until(lambda: post(process.url, event()).status == 202)
    assert value(scraped(process), "model_predictions_total") == 2


def scraped(process: SidecarProcess) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return samples(process.web_urls[0])


def test_room_is_made_by_closing_whom_nothing_is_owed_and_who_asked_longest_ago(start: Start, tmp_path: Path) -> None:
    process = start(fraud_config(tmp_path), web=1, options=["--web.max-connections=3"])
    url = process.web_urls[0]
    with connected(url) as asks, connected(url) as idles, connected(url) as slow:
        for client, times in ((asks, 1), (slow, 400)):
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * times)
            assert client.recv(20).startswith(b"HTTP/1.1 200")
        # `slow` was sent more than it has taken, and is owed the rest: the two others go first.
        with connected(url) as one, connected(url) as two:
            assert idles.recv(1) == b""
            for client in (one, two):
                client.sendall(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert client.recv(20).startswith(b"HTTP/1.1 200")
            while asks.recv(65_536):
                pass
            answers = 1
            while answers < 400:
                answers += slow.recv(65_536).count(b"HTTP/1.1 200")
    assert refused(process, "web") == 2


# More than it can take


def test_a_storm_of_scrapes_does_not_starve_ingest(start: Start, tmp_path: Path) -> None:
    process = start(fraud_config(tmp_path), web=1)
    scrapers, bodies = 50, 30
    done = threading.Event()
    scrapes = [0] * scrapers
    failures: list[str] = []

    def scrape(number: int) -> None:
        while not done.is_set():
            reply = get(process.web_urls[0], "/metrics")
            if reply.status not in (200, 503):  # past those in line
                failures.append(f"{reply.status} {reply.text[:100]}")
            scrapes[number] += 1

    threads = [threading.Thread(target=scrape, args=(i,)) for i in range(scrapers)]
    for thread in threads:
        thread.start()
    wait_until(lambda: min(scrapes) > 0)
    before = sum(scrapes)
    statuses = [post(process.url, [event()] * 100).status for _ in range(bodies)]
    meanwhile = sum(scrapes) - before
    done.set()
    for thread in threads:
        thread.join(30)
    assert statuses == [202] * bodies
    assert not failures
    assert meanwhile > 0
    # One sender against fifty scrapers gets at least half the turns that one of them gets.
    assert bodies >= meanwhile / scrapers / 2
    assert value(samples(process.url), "model_predictions_total") == 100 * bodies


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[SidecarProcess]:
    options = [f"--ingest.unix-stream={tmp_path / 'stream'}", f"--ingest.unix-datagram={tmp_path / 'datagram'}"]
    with sidecar(tmp_path, config=fraud_config(tmp_path), options=options) as process:
        yield process


def test_who_sends_on_a_stream_and_reads_no_answers_is_held_back_and_loses_nothing(
    sockets: SidecarProcess, tmp_path: Path
) -> None:
    before = resident_bytes(sockets)
    sent = 0
    pending = SMUGGLED * 1000
    with closing(socket.socket(socket.AF_UNIX)) as client, selectors.DefaultSelector() as selector:
        client.connect(str(tmp_path / "stream"))
        client.setblocking(False)
        selector.register(client, selectors.EVENT_WRITE)
        # Held back is who cannot send for a whole second.
        while selector.select(timeout=1.0):
            sent += client.send(pending[sent % len(SMUGGLED) :][:65_536])
            assert sent < 64 * 2**20, "it takes without end"
        assert resident_bytes(sockets) - before < 64 * 2**20
        client.settimeout(30)
        whole = -(-sent // len(SMUGGLED))
        rest = whole * len(SMUGGLED) - sent
        sending = threading.Thread(target=client.sendall, args=(SMUGGLED[-rest:] if rest else b"",))
        sending.start()
        answers = b""
        while answers.count(b"HTTP/1.1 202") < whole:
            received = client.recv(65_536)
            assert received, answers[-200:]
            answers += received
        sending.join()
    assert answers.count(b"HTTP/1.1 ") == whole
    assert value(samples(sockets.url), "model_sidecar_events_total", transport="unix_stream") == whole


def test_datagrams_past_what_the_kernel_keeps_are_refused_to_the_sender_and_the_others_count(
    sockets: SidecarProcess, tmp_path: Path
) -> None:
    sockets.process.send_signal(signal.SIGSTOP)
    taken = 0
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as client:
        client.connect(str(tmp_path / "datagram"))
        client.setblocking(False)
        try:
            while taken < 100_000:
                client.send(EVENT)
                taken += 1
        except BlockingIOError:
            pass  # the kernel keeps no more
    sockets.process.send_signal(signal.SIGCONT)
    assert 0 < taken < 100_000
    wait_until(lambda: value(samples(sockets.url), "model_sidecar_events_total", transport="unix_datagram") == taken)
