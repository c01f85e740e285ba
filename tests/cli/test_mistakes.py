"""Likely mistakes, and what is said of each: what is wrong, and what would help."""

import asyncio
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from aiohttp import web

from sidecar.cli import main
from tests.plugins.serving import fraud_config

NOBODY = "127.0.0.1:1"
HELP = "Connection refused: nobody listens there; does `model-sidecar serve` run?"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "x.csv"
    path.write_text("x\n1\n2\n")
    return path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "models:\n  - name: fraud\n    refrence: x.json\n",
            "models[0]: there is no such key: `refrence`; did you mean reference?",
        ),
        ("modles: []\n", "there is no such key: `modles`; did you mean models?"),
        ("models:\n  - name: a\n    drift: {min_sample: 3}\n", "`min_sample`; did you mean min_samples?"),
        ("models:\n  fraud:\n    reference: x.json\n", "models: expected a list, each item after a `-`, not keys"),
        ("limits: {quack: 1}\n", "limits: there is no such key: `quack`\n"),
    ],
)
def test_a_mistake_in_the_configuration(
    tmp_path: Path, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yml"
    path.write_text(text)
    error = said(capsys, "check-config", "--config.file", str(path))
    assert error.startswith(f"model-sidecar: {path}: ")
    assert told in error


def test_check_config_takes_the_file_as_serve_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = fraud_config(tmp_path)
    assert main(["check-config", "--config.file", str(path)]) == 0
    assert main(["check-config", str(path)]) == 0
    assert capsys.readouterr().out.count(f"{path}: OK") == 2


def test_nobody_is_there(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "replay", str(data), "--to", f"http://{NOBODY}") == f"model-sidecar: http://{NOBODY}: {HELP}\n"
    assert said(capsys, "top", NOBODY, "--once") == f"model-sidecar: {NOBODY}: {HELP}\n"
    assert said(capsys, "health", NOBODY) == f"model-sidecar: {NOBODY}: {HELP}\n"
    socket = data.parent / "socket"
    assert said(capsys, "health", str(socket)).startswith(f"model-sidecar: {socket}: No such file or directory: nobody")


class Answering:
    """An HTTP server in a thread of its own, that asks for a password or takes no events."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        expected = "Basic " + b64encode(b"me:secret").decode()
        if self._status == 401 and request.headers.get("Authorization") == expected:
            return web.json_response({"accepted": 2, "rejected": 0})
        return web.Response(status=self._status, text=f"{self._status}: No")

    async def start(self) -> web.AppRunner:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        return runner


async def run(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar", *arguments, stderr=asyncio.subprocess.PIPE
    )
    _, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, error.decode()


async def test_top_and_replay_name_the_password_that_is_asked_for_and_take_it(data: Path) -> None:
    server = Answering(401)
    runner = await server.start()
    try:
        at = f"127.0.0.1:{server.port}"
        advice = "it asks for a password: write http://USER:PASSWORD@HOST:PORT\n"
        assert await run("top", at, "--once") == (1, f"model-sidecar: {at}: answered 401: {advice}")
        assert await run("replay", str(data), "--to", f"http://{at}") == (
            1,
            f"model-sidecar: http://{at}: answered 401: No; {advice}",
        )
        assert (await run("replay", str(data), "--to", f"http://me:secret@{at}"))[0] == 0
        status, error = await run("replay", str(data), "--to", f"http://me:wrong@{at}")
        assert (status, "wrong" in error) == (1, False)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("status", [404, 405])
async def test_replay_to_an_address_that_takes_no_events(data: Path, status: int) -> None:
    server = Answering(status)
    runner = await server.start()
    try:
        _, error = await run("replay", str(data), "--to", f"http://127.0.0.1:{server.port}")
    finally:
        await runner.cleanup()
    assert error.endswith(
        "nothing takes events there: name the address of --ingest.listen-address, not of --web.listen-address\n"
    )
