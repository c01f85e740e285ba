"""`model-sidecar top` shows what the sidecar says: once, regularly, and in place on a real terminal."""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import numpy as np
import pytest
import trustme

from sidecar.reference import build, save
from sidecar.statistics.season import Season
from tests.plugins.programs import model_sidecar
from tests.plugins.serving import TIMEOUT_SECONDS, event, fraud_config, get, post
from tests.seasons import by_season
from tools.process import SidecarProcess, end, sidecar

COMMAND = [sys.executable, "-m", "sidecar", "top"]
ALTERNATE_SCREEN, USUAL_SCREEN, SHOW_CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"
HOSTILE = "\u202egnp.exe"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("top")
    columns = {HOSTILE: ["a", "b"] * 300}
    season = Season(cycle="hour-of-week", time_zone="Europe/Berlin")
    save(by_season(build(columns), columns, np.arange(600) % season.slots, season), directory / "hostile.json")
    extra = "  - {name: quiet, reference: hostile.json}\n  - name: learner\n"
    return fraud_config(directory, extra)


@pytest.fixture(scope="module")
def watched(config: Path) -> Iterator[SidecarProcess]:
    socket = config.parent / "socket"
    with sidecar(config.parent, config=config, options=[f"--ingest.unix-stream={socket}"]) as process:
        moved = [event(model="fraud", latency_ms=900.0, error=i % 5 == 0) for i in range(300)]
        assert post(process.url, moved).status == 202
        assert post(process.url, [{"model": "learner", "features": {"a": 1}}] * 120).status == 202
        yield process


def test_prints_once_what_drift_and_latency_say(watched: SidecarProcess) -> None:
    finished = model_sidecar("top", watched.url, "--once", "--model", "fraud")
    assert (finished.returncode, finished.stderr) == (0, "")
    [report] = get(watched.url, "/drift?model=fraud").json()["models"].values()
    for entry in report["features"]:
        statistics = entry["windows"]["1h"]
        level = "no drift" if entry["level"] == "none" else entry["level"]
        name = re.escape(entry["feature"]) + (" output" if entry["role"] == "output" else "")
        numbers = rf"{statistics['psi']:.3f}\s.*{statistics['threshold']:.3f}\s+0\.0%\s+{statistics['samples']}\n"
        assert re.search(rf"\n{level}\s+{name}\s+{numbers}", finished.stdout), entry["feature"]
    shown = re.findall(r"(?m)^(?:critical|significant|moderate|no drift) +(\w+)", finished.stdout)
    assert shown == [entry["feature"] for entry in report["features"]]
    windows = get(watched.url, "/latency?model=fraud").json()["models"]["fraud"]["windows"]
    assert f"p95 {windows['1h']['p95'] * 1000:.3g} ms" in finished.stdout
    assert "95% within 100 ms: missed 0.00%" in finished.stdout
    assert "errors   20.0% high, 60 of 300 predictions\n" in finished.stdout


def test_shows_every_model_the_one_that_drifted_furthest_first(watched: SidecarProcess) -> None:
    output = model_sidecar("top", watched.url, "--once").stdout
    titles = re.findall(r"(?m)^(fraud|quiet|learner)  (.*)$", output)
    assert [name for name, _ in titles] == ["fraud", "quiet", "learner"]
    assert titles[0][1].startswith("critical  ")
    assert titles[1][1].startswith("unknown  0 of 1 moved in 1h; reference 600 rows by hour of week in Europe/Berlin, ")
    assert titles[2][1].startswith("learning: 120 of 10,000 events")
    assert HOSTILE not in output
    assert "\\u202egnp.exe" in output


def test_shows_the_window_and_the_features_that_are_asked_for(watched: SidecarProcess) -> None:
    output = model_sidecar("top", watched.url, "--once", "--window=5m", "--match=O", "--rows=1", "--model=fraud").stdout
    assert "moved in 5m" in output
    assert re.search(r"(?m)^critical +(amount|probability)", output)
    assert "\nand 2 more\n" in output
    assert "merchant" not in output


def test_reads_a_unix_socket(watched: SidecarProcess, config: Path) -> None:
    finished = model_sidecar("top", str(config.parent / "socket"), "--once")
    assert finished.returncode == 0
    assert "\ningest   unix stream 0 taken; http 420 taken\n" in finished.stdout


def test_reads_over_tls_with_a_password_that_it_does_not_show(config: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    password = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    web_config = tmp_path / "web.yml"
    tls = "tls_server_config: {cert_file: server.pem, key_file: server.pem}"
    web_config.write_text(f"{tls}\nbasic_auth_users: {{reader: {password}}}\n")
    with sidecar(tmp_path, config=config, web=1, options=[f"--web.config.file={web_config}"]) as process:
        host = process.web_urls[0].removeprefix("http://")
        environment = os.environ | {"SSL_CERT_FILE": str(tmp_path / "authority.pem")}
        for url, status in ((f"https://reader:secret@{host}", 0), (f"https://reader:wrong@{host}", 1)):
            finished = subprocess.run(
                [*COMMAND, url, "--once"],
                env=environment,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
            assert finished.returncode == status, finished.stderr
            assert f"https://{host}" in finished.stdout + finished.stderr
            assert "reader" not in finished.stdout + finished.stderr


MISTAKES = {
    "nobody there": (["127.0.0.1:1"], "127.0.0.1:1: Connection refused"),
    "no such socket": (["/nowhere/socket"], "/nowhere/socket: No such file or directory"),
    "no place": (["ftp://h"], "ftp://h: neither an http:// address nor the path of a Unix socket"),
}


@pytest.mark.parametrize(("arguments", "said"), MISTAKES.values(), ids=MISTAKES)
def test_says_in_one_sentence_that_nobody_answers(arguments: list[str], said: str) -> None:
    finished = model_sidecar("top", *arguments, "--once")
    assert (finished.returncode, finished.stdout) == (1, "")
    assert re.fullmatch(r"model-sidecar: [^\n]*\n", finished.stderr)
    assert said in finished.stderr


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--model=gone", "no model 'gone'; there is: fraud, quiet, learner"),
        ("--window=9h", "no window '9h'; there is: 5m, 1h, 24h"),
    ],
)
def test_says_what_there_is_where_something_else_is_asked_for(watched: SidecarProcess, option: str, said: str) -> None:
    finished = model_sidecar("top", watched.url, "--once", option)
    assert (finished.returncode, finished.stderr) == (1, f"model-sidecar: {watched.url}: {said}\n")


def test_says_which_extra_to_install_where_rich_is_missing(watched: SidecarProcess) -> None:
    program = "import sys; sys.modules['rich'] = None; from sidecar.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "top", watched.url, "--once"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert finished.returncode == 1
    assert "pip install 'model-sidecar[reference]'" in finished.stderr


def test_prints_again_and_again_where_there_is_no_terminal(watched: SidecarProcess) -> None:
    with subprocess.Popen(
        [*COMMAND, watched.url, "--interval=0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        heads = 0
        for line in process.stdout:
            heads += line.startswith("model-sidecar ")
            assert "\x1b" not in line
            if heads == 3:
                break
        end(process)


class Terminal:
    """A program on a pseudoterminal, and all that it wrote."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self.descriptor = descriptor
        self.process = process
        self.written = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end within a character

    def wait_for(self, pattern: str, *, after: int = 0) -> int:
        """Wait until the program has written this after a place; return the place behind it."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while (found := re.search(pattern, self.written[after:])) is None:
            assert time.monotonic() < deadline, f"{pattern!r} is not in …{self.written[after:][-3000:]!r}"
            if select.select([self.descriptor], [], [], 0.5)[0]:
                self.written += self._decoder.decode(os.read(self.descriptor, 65536))
        return after + found.end()

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@contextmanager
def terminal(*arguments: str, columns: int = 120, lines: int = 40) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment | {"TERM": "xterm-256color"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        end(process)
        os.close(ours)


def test_refreshes_in_place_follows_the_size_and_leaves_the_terminal_as_it_was(watched: SidecarProcess) -> None:
    with terminal(watched.url, "--model=fraud", "--interval=0.1") as screen:
        at = screen.wait_for(re.escape(ALTERNATE_SCREEN))
        at = screen.wait_for(r"0 to 0\.5", after=at)
        assert "─" * 80 in screen.written
        before = get(watched.url, "/health").json()["ingest"]["http"]["events"]
        assert post(watched.url, event(model="fraud")).status == 202
        at = screen.wait_for(f"http {before + 1} taken", after=at)
        screen.resize(50, 12)
        at = screen.wait_for("and [23] more", after=at)
        assert not re.search("─{51}", screen.written[at:])
        os.write(screen.descriptor, b"\x03")
        screen.wait_for(re.escape(USUAL_SCREEN), after=at)
        assert screen.process.wait(timeout=TIMEOUT_SECONDS) == 0
        assert SHOW_CURSOR in screen.written[at:]
        assert "Traceback" not in screen.written


def test_says_that_the_sidecar_is_gone_and_goes_on_when_it_is_back(config: Path, tmp_path: Path) -> None:
    with sidecar(tmp_path, config=config) as process, terminal(process.url, "--interval=0.1") as screen:
        at = screen.wait_for("learner")
        end(process.process)
        at = screen.wait_for(r"NO ANSWER: .*Connection refused; what is shown is of [\d:]+, \d+ s old", after=at)
        port = process.url.rpartition(":")[2]
        with sidecar(tmp_path, config=config, options=[f"--ingest.listen-address=127.0.0.1:{port}"]):
            at = screen.wait_for(r"\x1b\[H(\x1b\[[\d;]*m)*model-sidecar", after=at)
            screen.process.terminate()
            screen.wait_for(re.escape(USUAL_SCREEN), after=at)
            assert screen.process.wait(timeout=TIMEOUT_SECONDS) == 0
