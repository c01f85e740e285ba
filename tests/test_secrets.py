"""Secrets that the sidecar is given are in no line of its log and in nothing that it answers."""

import base64
from pathlib import Path

import bcrypt
import pytest

from tests.plugins.programs import model_sidecar
from tests.plugins.serving import Start, fraud_config, get, request

PASSWORD, TOKEN, URL_PASSWORD = "correct-horse", "bearer-of-secrets", "hidden-in-a-url"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"ann:{password}".encode()).decode()


@pytest.mark.parametrize("status", ["closed", "refusing"])
def test_no_secret_is_logged_or_answered(start: Start, tmp_path: Path, status: str) -> None:
    web, token = tmp_path / "web.yml", tmp_path / "token"
    token.write_text(TOKEN)
    web.write_text(f"basic_auth_users: {{ann: {HASH}}}\nbearer_token_file: token\n")
    # Alertmanager is not there, or is somebody who answers 404.
    other = start()
    there = "127.0.0.1:1" if status == "closed" else other.url.removeprefix("http://")
    options = [f"--web.config.file={web}", f"--alertmanager.url=http://ann:{URL_PASSWORD}@{there}", "--log.level=debug"]
    process = start(fraud_config(tmp_path), web=1, options=[*options, "--web.enable-lifecycle"])
    url = process.web_urls[0]
    answers = [
        get(url, path, authorization=authorization)
        for path in ("/", "/alerts", "/metrics", "/health", "/openapi.json", "/nothing")
        for authorization in (basic(PASSWORD), basic("wrong-" + PASSWORD), f"Bearer {TOKEN}", "Bearer no", "")
    ]
    assert {reply.status for reply in answers} == {200, 401, 404}
    assert (
        get(url, "/alerts", authorization=f"Bearer {TOKEN}")
        .json()["alertmanager"]["error"]
        .startswith(f"http://{there}: ")
    )
    (tmp_path / "sidecar.yml").write_text("models: 3")
    answers.append(request(process.url, "POST", "/-/reload"))
    answers.append(get(process.url, "/alerts"))
    told = process.log.read_text() + "".join(f"{reply.headers}{reply.text}" for reply in answers)
    for secret in (PASSWORD, TOKEN, URL_PASSWORD, HASH, base64.b64encode(f"ann:{PASSWORD}".encode()).decode()):
        assert secret not in told


@pytest.mark.parametrize(
    "text",
    [
        f"basic_auth_users: {{ann: {PASSWORD}}}",
        f"basic_auth_users: {{ann: [{PASSWORD}]}}",
        f"basic_auth_users: {{ann: {{{PASSWORD}: 1}}}}",
        f"basic_auth_users: {{ann: {HASH}}}\nbearer_token: {TOKEN}",
    ],
)
def test_a_bad_web_configuration_is_told_without_its_secrets(tmp_path: Path, text: str) -> None:
    path = tmp_path / "web.yml"
    path.write_text(text)
    finished = model_sidecar(
        "serve", "--ingest.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0", f"--web.config.file={path}"
    )
    assert finished.returncode == 1
    assert "web.yml: " in finished.stderr
    for secret in (PASSWORD, TOKEN, HASH):
        assert secret not in finished.stderr
