"""Events over Unix sockets: the real process, real socket files."""

import http.client
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from sidecar.serve.ingest import unix
from sidecar.serve.ingest.datagram import DATAGRAM_BYTES
from tests.plugins.serving import get, samples, value, wait_until
from tools.process import SidecarProcess, sidecar

EVENT = {"features": {"a": 1.0, "b": "x"}, "prediction": "ok", "latency_ms": 3.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert len(str(tmp_path)) < 90, "the path of a socket may have 107 bytes"
    return tmp_path


@contextmanager
def listening(folder: Path, *options: str) -> Iterator[SidecarProcess]:
    paths = [f"--ingest.unix-stream={folder / 'stream'}", f"--ingest.unix-datagram={folder / 'datagram'}"]
    with sidecar(folder, options=[*paths, *options]) as process:
        yield process


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


def request(path: Path, method: str, target: str, body: bytes = b"") -> tuple[int, Any]:
    connection = _UnixConnection(path)
    connection.request(method, target, body)
    reply = connection.getresponse()
    answer = json.loads(reply.read())
    connection.close()
    return reply.status, answer


def counted(process: SidecarProcess, transport: str) -> float:
    return value(samples(process.url), "model_sidecar_events_total", transport=transport)


def refused(process: SidecarProcess, reason: str) -> float:
    labels = {"transport": "unix_datagram", "reason": reason}
    return value(samples(process.url), "model_sidecar_events_rejected_total", **labels)


def sender(folder: Path) -> socket.socket:
    result = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * DATAGRAM_BYTES)
    result.connect(str(folder / "datagram"))
    return result


def test_the_stream_speaks_the_same_http_and_counts_as_its_own_transport(folder: Path) -> None:
    with listening(folder) as process:
        path = folder / "stream"
        assert request(path, "POST", "/monitor", json.dumps(EVENT).encode()) == (202, {"accepted": 1, "rejected": 0})
        status, answer = request(path, "POST", "/monitor", b'{"features": {"a": 1}, "latency_ms": -1}')
        assert (status, answer["errors"][0]["path"]) == (422, "$.latency_ms")
        status, drift = request(path, "GET", "/drift")
        assert (status, drift["models"]["default"]["learning"]["events"]) == (200, 1)
        assert counted(process, "unix_stream") == 1
        assert counted(process, "http") == 0


def test_datagrams_of_every_form_are_counted(folder: Path) -> None:
    line = json.dumps(EVENT).encode()
    columns = {"columns": {"features": {"a": [1.0, 2.0], "b": ["x", None]}, "latency_ms": [1.0, 2.0]}}
    packed = {"columns": {"features": {"a": np.array([1.0, np.nan]).tobytes()}, "latency_ms": [1.0, 2.0]}}
    named = {"model": "default", **columns}
    datagrams = [
        (line, 1),
        (line + b"\n", 1),
        (line + b"\n" + line + b"\r\n\n" + line, 3),
        (b"[" + line + b"," + line + b"]", 2),
        (json.dumps(columns).encode(), 2),
        (json.dumps(named).encode(), 2),
        (msgspec.msgpack.encode(packed), 2),
    ]
    with listening(folder) as process, sender(folder) as client:
        for content, _ in datagrams:
            client.send(content)
        wait_until(lambda: counted(process, "unix_datagram") == sum(events for _, events in datagrams))
        assert value(samples(process.url), "model_predictions_total", model="default") == sum(n for _, n in datagrams)


def test_bad_datagrams_are_refused_one_by_one_and_cost_the_others_nothing(folder: Path) -> None:
    good = json.dumps(EVENT).encode()
    with listening(folder) as process, sender(folder) as client:
        bad = [b"", b" \n", b"{", b"\xff\xfe", b'{"features": {"a": 1}, "latency_ms": -1}', b"\x81", b"[1, 2"]
        for content in bad:
            client.send(content)
            client.send(good)
        client.send(b'{"features": {"a": "' + b"x" * DATAGRAM_BYTES + b'"}}')
        client.send(good)
        wait_until(lambda: counted(process, "unix_datagram") == len(bad) + 1)
        assert refused(process, "unreadable") == 6
        assert refused(process, "invalid") == 1
        assert refused(process, "too_large") == 1


def test_a_sender_that_waits_loses_nothing(folder: Path) -> None:
    line = json.dumps(EVENT).encode()
    with listening(folder) as process, sender(folder) as client:
        for _ in range(20_000):
            client.send(line)
        wait_until(lambda: counted(process, "unix_datagram") == 20_000)


def test_what_waits_in_the_socket_is_counted_before_stopping(folder: Path) -> None:
    with listening(folder) as process:
        with sender(folder) as client:
            for _ in range(5000):
                client.send(json.dumps(EVENT).encode())
        process.process.terminate()
        assert process.process.wait(timeout=30) == 0
    assert "events=5000" in process.log.read_text().splitlines()[-1]


def test_socket_files_have_mode_0660_and_go_when_it_stops(folder: Path) -> None:
    group = str(os.getgid())
    with listening(folder, f"--ingest.unix-group={group}"):
        for name in ("stream", "datagram"):
            found = (folder / name).lstat()
            assert stat.S_ISSOCK(found.st_mode)
            assert stat.S_IMODE(found.st_mode) == 0o660
            assert found.st_gid == int(group)
    assert not (folder / "stream").exists()
    assert not (folder / "datagram").exists()


def test_stale_socket_files_are_replaced(folder: Path) -> None:
    for name, kind in (("stream", socket.SOCK_STREAM), ("datagram", socket.SOCK_DGRAM)):
        with socket.socket(socket.AF_UNIX, kind) as stale:
            stale.bind(str(folder / name))
    with listening(folder) as process, sender(folder) as client:
        client.send(json.dumps(EVENT).encode())
        wait_until(lambda: counted(process, "unix_datagram") == 1)
        assert request(folder / "stream", "GET", "/health")[0] == 200


def start_refused(*options: str) -> str:
    command = [sys.executable, "-m", "sidecar", "serve", "--ingest.listen-address=127.0.0.1:0", *options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 1
    return result.stderr.splitlines()[-1]


def test_another_programs_socket_is_left_alone(folder: Path) -> None:
    path = folder / "taken"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        other.listen()
        told = f"model-sidecar: {path}: another program"
        assert start_refused(f"--ingest.unix-stream={path}").startswith(f"{told} listens on it")
        assert start_refused(f"--ingest.unix-datagram={path}").startswith(f"{told}'s socket: Protocol wrong type")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(path))


def test_what_is_no_socket_is_left_alone(folder: Path) -> None:
    path = folder / "notes.txt"
    path.write_text("keep me")
    assert start_refused(f"--ingest.unix-stream={path}") == f"model-sidecar: {path}: it exists and is not a socket"
    assert path.read_text() == "keep me"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--ingest.unix-stream=/nowhere/there/socket", "/nowhere/there/socket: No such file or directory"),
        (f"--ingest.unix-datagram=/tmp/{'x' * 120}", "path too long"),
    ],
)
def test_a_path_that_cannot_be_is_told_in_one_sentence(option: str, message: str) -> None:
    assert message in start_refused(option)


def test_a_group_that_is_not_there_is_told_in_one_sentence(folder: Path) -> None:
    path = folder / "stream"
    told = start_refused(f"--ingest.unix-stream={path}", "--ingest.unix-group=no-such-group")
    assert told == "model-sidecar: there is no group 'no-such-group'"
    assert not path.exists()


def test_a_socket_file_that_was_replaced_is_not_removed(folder: Path) -> None:
    path = folder / "socket"
    bound = unix.bind(path, socket.SOCK_DGRAM, group=None)
    inode = path.lstat().st_ino
    path.rename(folder / "old")
    path.write_text("somebody else's")
    unix.remove(path, inode)
    bound.close()
    assert path.read_text() == "somebody else's"


def test_replay_sends_to_the_stream(folder: Path) -> None:
    data = folder / "rows.csv"
    data.write_text("a,b\n" + "1.5,x\n" * 300)
    with listening(folder) as process:
        command = [sys.executable, "-m", "sidecar", "replay", str(data), "--to", str(folder / "stream")]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        assert counted(process, "unix_stream") == 300
        assert get(process.url, "/drift").json()["models"]["default"]["learning"]["events"] == 300
