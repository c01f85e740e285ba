"""Real servers of Python applications, and requests to them over Unix sockets."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tests.paths import ROOT

BIN = Path(sys.executable).parent
START_SECONDS = 60.0
ANSWER_SECONDS = 10.0
END_SECONDS = 40.0


class OverSocket(http.client.HTTPConnection):
    """HTTP over a Unix stream socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Server:
    """A server process that listens on a Unix socket."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path, log: Path, *, is_uwsgi: bool) -> None:
        self._process, self._path, self._log, self._is_uwsgi = process, path, log, is_uwsgi

    @property
    def log(self) -> str:
        """Return what the server and the application have written."""
        return self._log.read_text(errors="replace")

    def get(self, path: str = "/predict") -> int:
        """Return the status of an answer; waits until the server listens."""
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                with closing(OverSocket(self._path)) as connection:
                    connection.request("GET", path, headers={"Connection": "close"})
                    response = connection.getresponse()
                    response.read()
                    return response.status
            except (FileNotFoundError, ConnectionRefusedError):
                assert self._process.poll() is None, self.log
                assert time.monotonic() < give_up, self.log
                time.sleep(0.05)

    def answers(self, requests: int) -> None:
        """Send requests, one after the other; each is to be answered with 200."""
        for _ in range(requests):
            assert self.get() == 200, self.log

    def end(self, number: signal.Signals) -> None:
        """Send a signal to the first process, and wait until it has ended."""
        if self._is_uwsgi:
            # It takes a worker for busy until shortly after an answer, and runs no exit hooks of a busy one. Nothing
            # tells when that is over.
            time.sleep(0.5)
        self._process.send_signal(number)
        self._process.wait(END_SECONDS)


@contextmanager
def served(folder: Path, command: Sequence[str], target: str, **environment: str) -> Iterator[Server]:
    """Run a server, `{socket}` in its command being the path to listen on, until the block ends."""
    path, log = folder / "server", folder / "server.log"
    words = [word.format(socket=path) for word in command]
    variables = {**os.environ, "SERVED_TARGET": target, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [str(BIN / words[0]), *words[1:]],
            cwd=folder,
            env=variables | environment,
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
            start_new_session=True,
        )
        try:
            yield Server(process, path, log, is_uwsgi=words[0] == "uwsgi")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
