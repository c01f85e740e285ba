"""The unit for systemd: its directives are known and strict, and its commands do what it says, for a real sidecar."""

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.plugins.programs import TIMEOUT_SECONDS, model_sidecar, program
from tests.plugins.serving import wait_until
from tools.process import started

FOLDER = ROOT / "examples" / "systemd"
UNIT = FOLDER / "model-sidecar.service"
DIRECTIVES = re.findall(r"^(\w+)=((?:.*\\\n)*.*)$", UNIT.read_text(), re.MULTILINE)
# What systemd says where its parts are old or not running is nothing of this unit.
NOISE = re.compile(r"^(Failed to|Binding to IPv6|/(usr/)?lib/systemd/|/etc/systemd/)")


def directive(name: str) -> str:
    """Return the one value of a directive, its lines joined."""
    [value] = [value for found, value in DIRECTIVES if found == name]
    return re.sub(r"\s*\\\n\s*", " ", value)


def written(folder: Path, text: str) -> Path:
    """Write a unit whose program is here, as systemd looks whether it is."""
    unit = folder / UNIT.name
    unit.write_text(text.replace("/opt/model-sidecar/bin/model-sidecar", "/bin/true"))
    return unit


def complaints(unit: Path) -> list[str]:
    """Return what systemd has against a unit."""
    command = [program("systemd-analyze"), "verify", "--man=no", "--recursive-errors=no", str(unit)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    return [line for line in done.stderr.splitlines() if not NOISE.match(line)]


def test_systemd_has_nothing_against_the_unit(tmp_path: Path) -> None:
    assert complaints(written(tmp_path, UNIT.read_text())) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("ProtectSystem=strict", "ProtectSytem=strict"),
        ("Restart=on-failure", "Restart=sometimes"),
        ("=/bin/kill", "=kil"),
    ],
)
def test_systemd_would_see_a_mistake(right: str, wrong: str, tmp_path: Path) -> None:
    text = UNIT.read_text()
    assert right in text
    assert complaints(written(tmp_path, text.replace(right, wrong))) != []


def test_what_the_unit_may_do_is_little(tmp_path: Path) -> None:
    """Exposure is 0 to 10, and the most that is allowed is given in tenths."""
    unit = written(tmp_path, UNIT.read_text())
    command = [program("systemd-analyze"), "security", "--offline=true", "--threshold=15", "--no-pager", str(unit)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_user_of_the_unit_is_made() -> None:
    [line] = [line for line in (FOLDER / "model-sidecar.sysusers.conf").read_text().splitlines() if line[0] != "#"]
    assert line.split()[:2] == ["u", directive("User")]
    assert directive("Group") == directive("User")


@contextmanager
def manager(folder: Path, monkeypatch: pytest.MonkeyPatch, *, abstract: bool = False) -> Iterator[socket.socket]:
    """Listen as systemd does for what a service tells."""
    name = f"model-sidecar-test-{os.getpid()}" if abstract else str(folder / "notify")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(f"\0{name}" if abstract else name)
        listening.settimeout(TIMEOUT_SECONDS)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else name)
        yield listening


def test_the_commands_of_the_unit_start_reload_and_end_a_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {}
    for kind in ("CONFIGURATION", "STATE", "RUNTIME"):
        places[f"{kind}_DIRECTORY"] = tmp_path / kind.lower()
        places[f"{kind}_DIRECTORY"].mkdir()
    (tmp_path / "configuration/sidecar.yml").write_text("models: [{name: fraud}]\n")
    line = re.sub(r"\$\{(\w+)\}", lambda found: str(places[found[1]]), directive("ExecStart"))
    installed, *arguments = shlex.split(line.replace("--web.listen-address=:9108", "--web.listen-address=127.0.0.1:0"))
    assert installed == "/opt/model-sidecar/bin/model-sidecar"
    command = [sys.executable, "-m", "sidecar", *arguments, "--ingest.listen-address=127.0.0.1:0"]
    log = tmp_path / "log"
    with manager(tmp_path, monkeypatch) as listening, started(command, log, listeners=2) as (process, _):
        assert listening.recv(100) == b"READY=1"
        for name in ("stream", "datagram"):
            assert (tmp_path / "runtime" / name).stat().st_mode & 0o777 == 0o660
        assert model_sidecar("health", "--ready", str(tmp_path / "runtime/stream")).returncode == 0
        assert list((tmp_path / "state").iterdir())
        (tmp_path / "configuration/sidecar.yml").write_text("models: [{name: fraud}, {name: churn}]\n")
        subprocess.run(shlex.split(directive("ExecReload").replace("$MAINPID", str(process.pid))), check=True)
        wait_until(lambda: "reloaded models=fraud,churn" in log.read_text())
        process.terminate()
        assert listening.recv(100) == b"STOPPING=1"
        assert process.wait(TIMEOUT_SECONDS) == 0


def test_it_tells_a_socket_that_is_no_file_and_goes_on_where_nobody_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-m", "sidecar", "serve", "--ingest.listen-address=127.0.0.1:0"]
    with manager(tmp_path, monkeypatch, abstract=True) as listening, started(command, tmp_path / "one", listeners=1):
        assert listening.recv(100) == b"READY=1"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with started(command, tmp_path / "two", listeners=1) as (process, addresses):
        assert model_sidecar("health", addresses[0]).returncode == 0
        assert process.poll() is None
    assert "the service manager cannot be told" in (tmp_path / "two").read_text()
