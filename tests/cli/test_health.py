"""`model-sidecar health` for real processes: what it asks, what it says, and with which status it ends."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.plugins.programs import TIMEOUT_SECONDS, model_sidecar
from tools.process import SidecarProcess, sidecar


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    folder = tmp_path_factory.mktemp("health")
    authority = trustme.CA()
    certificate = authority.issue_cert("sidecar.example.com")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    (folder / "web.yml").write_text("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n")
    options = [f"--ingest.unix-stream={folder / 'stream'}", f"--web.config.file={folder / 'web.yml'}"]
    with sidecar(folder, web=1, options=options) as started:
        yield started


def test_a_sidecar_that_answers_is_healthy_and_ready(process: SidecarProcess) -> None:
    healthy = model_sidecar("health", process.url)
    assert (healthy.returncode, healthy.stdout) == (0, "model-sidecar is healthy.\n")
    ready = model_sidecar("health", "--ready", process.url.removeprefix("http://"))
    assert ready.returncode == 0
    assert ready.stdout.startswith("model-sidecar is ready.\n")


def test_it_asks_over_a_unix_socket_and_over_tls_whomever_the_certificate_is_for(process: SidecarProcess) -> None:
    assert model_sidecar("health", str(process.log.parent / "stream")).returncode == 0
    [web] = process.web_urls
    assert model_sidecar("health", web.replace("http://", "https://")).returncode == 0


def test_no_proxy_of_the_environment_stands_between(process: SidecarProcess) -> None:
    command = [sys.executable, "-m", "sidecar", "health", process.url]
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=TIMEOUT_SECONDS)


def test_who_does_not_answer_with_200_is_not_healthy_and_the_sentence_says_why(
    process: SidecarProcess, tmp_path: Path
) -> None:
    nobody = model_sidecar("health", str(tmp_path / "none.sock"))
    assert nobody.returncode == 1
    assert "No such file or directory" in nobody.stderr
    elsewhere = model_sidecar("health", f"{process.url}/elsewhere")
    assert elsewhere.returncode == 1
    assert "/-/healthy answers 404" in elsewhere.stderr
    plain = model_sidecar("health", process.web_urls[0])
    assert plain.returncode == 1
    assert plain.stderr.startswith(f"model-sidecar: {process.web_urls[0]}: ")
    assert model_sidecar("health", "ftp://127.0.0.1").returncode == 1
    assert model_sidecar("health", "http://127.0.0.1:99999").returncode == 1
    assert model_sidecar("health", "--timeout=0", process.url).returncode == 2


def test_one_that_hangs_is_given_up_and_no_password_is_shown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        hung = model_sidecar("health", "--timeout=0.2", f"http://user:secret@127.0.0.1:{port}")
    assert hung.returncode == 1
    assert "timed out" in hung.stderr
    assert "secret" not in hung.stderr
