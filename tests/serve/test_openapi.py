"""What `/openapi.json` says: every route and no other, and nothing that a tester who reads it finds to be wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from sidecar.http.connections import Bounds
from sidecar.serve.app import Application
from sidecar.serve.ingest.http import HTTP
from sidecar.serve.listeners import Listeners
from sidecar.serve.options import Options
from tests.paths import DATA
from tests.plugins.golden import Golden
from tests.plugins.serving import Start, fraud_config, get, samples, value
from tools.process import SidecarProcess, started

CONFIG = DATA / "schemathesis.toml"
EXAMPLES = 15
"""Requests that are made up for each operation, beside those that its parameters and bodies ask for."""

POLICIES = "policies: [{name: fraud, action: rollback, namespaces: [ml]}]\n"


def listeners(directory: Path) -> Listeners:
    options = Options(
        config_file=fraud_config(directory),
        ingest_address=("127.0.0.1", 0),
        web_addresses=[("127.0.0.1", 0)],
        telemetry_path="/metrics",
        enable_lifecycle=True,
        bounds=Bounds(),
    )
    return Application(options).listeners


def routes(of: web.Application) -> set[tuple[str, str]]:
    """Return method and path of every route; HEAD comes with GET."""
    every = {(route.method.lower(), route.resource.canonical) for route in of.router.routes() if route.resource}
    return {(method, path) for method, path in every if method != "head"}


def described(text: bytes) -> set[tuple[str, str]]:
    return {(method, path) for path, operations in json.loads(text)["paths"].items() for method in operations}


async def test_every_route_is_described_and_every_description_has_its_route(tmp_path: Path) -> None:
    made = listeners(tmp_path)
    for of in (made.ingest_application(HTTP), made.web_application()):
        assert routes(of) == described(await described_by(of))


async def described_by(of: web.Application) -> bytes:
    [route] = [
        r for r in of.router.routes() if r.resource and r.resource.canonical == "/openapi.json" and r.method == "GET"
    ]
    response = await route.handler(None)  # type: ignore[arg-type]  # it does not look at the request
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    return response.body


def test_the_golden_descriptions_are_served(start: Start, tmp_path: Path, golden: Golden) -> None:
    process = start(fraud_config(tmp_path), web=1)
    golden("openapi-ingest.json", get(process.url, "/openapi.json").text)
    golden("openapi-web.json", get(process.web_urls[0], "/openapi.json").text)


def test_the_network_listener_describes_nothing_that_writes(start: Start) -> None:
    paths = get(start(web=1).web_urls[0], "/openapi.json").json()["paths"]
    assert {method for operations in paths.values() for method in operations} == {"get"}


def test_the_path_of_the_metrics_is_the_one_that_was_chosen(start: Start) -> None:
    process = start(web=1, options=["--web.telemetry-path=/probe/metrics"])
    for url in (process.url, *process.web_urls):
        paths = get(url, "/openapi.json").json()["paths"]
        assert "/probe/metrics" in paths
        assert "/metrics" not in paths


def report_on(url: str, answered: Path) -> str:
    """Run schemathesis against what a server says of itself; fails with its report."""
    command = [sys.executable, "-m", "schemathesis.cli", f"--config-file={CONFIG}", "run", f"{url}/openapi.json"]
    command += [
        "--phases=examples,coverage,fuzzing",
        f"--max-examples={EXAMPLES}",
        "--seed=1",
        "--no-shrink",
        "--no-color",
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.serve.openapi_hooks", "SIDECAR_ANSWERED": str(answered)}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stdout[-20_000:] + finished.stderr
    return finished.stdout


def test_what_serve_says_of_itself_is_so_and_it_counts_what_it_answers(start: Start, tmp_path: Path) -> None:
    config = fraud_config(tmp_path, "    labels: {min_labels: 1}\n")
    process = start(config, web=1, options=["--web.enable-lifecycle"])
    report = report_on(process.url, tmp_path / "answered")
    assert_all_tested(report, get(process.url, "/openapi.json").json())
    answered = json.loads((tmp_path / "answered").read_bytes())
    after = samples(process.url)
    assert answered["accepted"] > 0
    assert answered["rejected"] > 0
    assert value(after, "model_sidecar_events_total", transport="http") == answered["accepted"]
    assert value(after, "model_predictions_total") == answered["accepted"]
    refused = sum(n for (name, _), n in after.items() if name == "model_sidecar_events_rejected_total")
    assert refused == answered["rejected"] + answered["unread"]
    assert_well(process)


def test_what_the_network_listener_says_of_itself_is_so(start: Start, tmp_path: Path) -> None:
    process = start(fraud_config(tmp_path), web=1)
    before = samples(process.url)
    report = report_on(process.web_urls[0], tmp_path / "answered")
    assert_all_tested(report, get(process.web_urls[0], "/openapi.json").json())
    assert samples(process.url) == before
    assert_well(process)


def test_what_the_receiver_of_rollbacks_says_of_itself_is_so(tmp_path: Path, golden: Golden) -> None:
    (tmp_path / "policy.yml").write_text(POLICIES)
    command = [sys.executable, "-m", "sidecar", "rollback", f"--config.file={tmp_path / 'policy.yml'}"]
    command += ["--kubernetes.mode=none", "--web.listen-address=127.0.0.1:0"]
    log = tmp_path / "rollback.log"
    with started(command, log, listeners=1) as (process, [address]):
        description = get(f"http://{address}", "/openapi.json")
        golden("openapi-rollback.json", description.text)
        assert_all_tested(report_on(f"http://{address}", tmp_path / "answered"), description.json())
        assert process.poll() is None
    assert "level=error" not in log.read_text()


def assert_all_tested(report: str, description: dict[str, Any]) -> None:
    # The tester leaves out the path that it read the description from.
    operations = sum(map(len, description["paths"].values())) - 1
    assert f"Tested: {operations}\n" in report, report


def assert_well(process: SidecarProcess) -> None:
    assert get(process.url, "/-/ready").status == 200
    assert process.process.poll() is None
    assert "level=error" not in process.log.read_text()
