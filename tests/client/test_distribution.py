"""The client's wheel, built and installed into an empty environment of every Python that is there."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.client.support import TRANSPORTS, Listening, counted
from tests.paths import ROOT
from tests.plugins.serving import wait_until

SOURCE = ROOT / "client"
OLDEST, NEWEST = 9, 14


def interpreters() -> dict[str, str]:
    """Return the Python of each minor version that is on the path or installed by pyenv, and this one."""
    found = {}
    for minor in range(OLDEST, NEWEST + 1):
        name = f"python3.{minor}"
        installed = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/{name}"))
        path = str(installed[-1]) if installed else shutil.which(name)
        if path is not None:
            found[f"3.{minor}"] = path
    return found | {f"3.{sys.version_info.minor}": sys.executable}


PYTHONS = interpreters()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=SOURCE, check=True, capture_output=True)
    [built] = folder.iterdir()
    return built


def test_the_wheel_is_typed_and_needs_nothing(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [name for name in names if name.endswith("/METADATA")]
        fields = Parser().parsestr(archive.read(metadata).decode())
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"model_sidecar_client"}
    assert {"model_sidecar_client/py.typed", "model_sidecar_client/client.py"} <= set(names)
    assert any(name.endswith("/LICENSE") for name in names)
    assert (fields["Name"], fields["Requires-Python"]) == ("model-sidecar-client", f">=3.{OLDEST}")
    assert fields.get_all("Requires-Dist") is None


USE = """
import os, sys
from model_sidecar_client import Client, MonitorASGI, MonitorWSGI, monitored

assert "site-packages" in sys.modules["model_sidecar_client"].__file__
for target in sys.argv[1:]:
    with Client(target) as client:
        for i in range(700):
            client.log({"amount": i / 7, "merchant": "visa"}, "legitimate", 0.88, latency_ms=12.5, id=i)
        with client.measure():
            client.log({"amount": 1.0, "merchant": None})
        assert client.flush(30)
    assert client.stats().accepted == 701, client.stats()
    assert client.problems() == [], client.problems()
client = Client(sys.argv[1])
client.log({"amount": 1.0})
os.kill(os.getpid(), 15)
"""

AT_EXIT = """
import atexit, sys
from model_sidecar_client import Client

client = Client(sys.argv[1])
atexit.register(client.log, {"amount": 1.0})  # before the client closes, when threads can no longer be started
"""


def environment(python: str, wheel: Path, folder: Path) -> Path:
    """Return the Python of a new environment that has the wheel alone."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    own = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--quiet", "--python", str(own), "install", "--no-index", str(wheel)]
    subprocess.run(install, check=True)
    return own


@pytest.mark.parametrize("version", PYTHONS)
def test_it_works_alone_with_every_python_there_is(version: str, wheel: Path, up: Listening, tmp_path: Path) -> None:
    python = environment(PYTHONS[version], wheel, tmp_path / "environment")
    before = {transport: counted(up.process.url, transport) for transport in TRANSPORTS}
    command = [str(python), "-I", "-W", "error", "-c", USE, *(up.targets[transport] for transport in TRANSPORTS)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert (result.returncode, result.stderr) == (-15, "")
    expected = {"http": 702, "unix_stream": 701, "unix_datagram": 701}
    wait_until(lambda: all(counted(up.process.url, name) - before[name] == expected[name] for name in TRANSPORTS))
    subprocess.run([str(python), "-I", "-W", "error", "-c", AT_EXIT, up.targets["http"]], check=True, timeout=90)
    assert counted(up.process.url, "http") - before["http"] == expected["http"] + 1


def test_the_lines_that_the_readme_begins_with_send_an_event(wheel: Path, up: Listening, tmp_path: Path) -> None:
    [program] = re.findall(r"```python\n(.*?)```", (SOURCE / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in program.splitlines() if line]) <= 5
    program = program.replace('model="fraud"', "")
    python = environment(sys.executable, wheel, tmp_path / "environment")
    before = counted(up.process.url, "http")
    variables = os.environ | {"MODEL_SIDECAR_URL": up.targets["http"]}
    subprocess.run([str(python), "-c", program], check=True, env=variables, timeout=60)
    assert counted(up.process.url, "http") - before == 1
