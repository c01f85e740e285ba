"""A real Prometheus scrapes a real sidecar."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote, urlsplit

import bcrypt
import pytest
import trustme

from sidecar.exposition.catalogue import CATALOGUE
from sidecar.reference import save
from tests.plugins.programs import program
from tests.plugins.serving import event, fraud_config, get, parsed, post, request, wait_until
from tests.seasons import fraud_profile_by_season
from tools.process import SidecarProcess, sidecar

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: sidecar
  metrics_path: /metrics
  static_configs: [{{targets: ["{ingest}", "{web}"]}}]
"""

Query = Callable[[str], list[dict[str, Any]]]


@contextmanager
def prometheus(directory: Path, config: str, *options: str) -> Iterator[Query]:
    """Run a Prometheus on a free port; yields what answers a query with its result. It goes on from its data."""
    directory.mkdir(exist_ok=True)
    (directory / "prometheus.yml").write_text(config)
    log = directory / "prometheus.log"
    command = [
        program("prometheus"),
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        "--web.listen-address=127.0.0.1:0",
        *options,
    ]
    with log.open("w") as lines, ExitStack() as stack:
        process = subprocess.Popen(command, stdout=lines, stderr=lines)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        url = ""

        def is_ready() -> bool:
            nonlocal url
            assert process.poll() is None, log.read_text()
            found = re.search(r"Listening on.* address=(127\.0\.0\.1:\d+)", log.read_text())
            url = f"http://{found[1]}" if found else ""
            try:
                return bool(url) and get(url, "/-/ready").status == 200
            except (URLError, OSError):
                return False

        wait_until(is_ready)

        def query(expression: str) -> list[dict[str, Any]]:
            reply = get(url, f"/api/v1/query?query={quote(expression)}")
            assert reply.status == 200, reply.text
            result: list[dict[str, Any]] = reply.json()["data"]["result"]
            return result

        yield query


TRUE = {"fraud": "legitimate", "price": 2.5}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SidecarProcess]:
    """Run a sidecar that has something to say for every metric there is."""
    directory = tmp_path_factory.mktemp("served")
    options = [f"--storage.path={directory}/kept"]
    labels = "    labels: {ttl: 1s, positive: fraud, min_labels: 3}\n"
    price = "  - name: price\n    labels: {min_labels: 3}\n"
    config = fraud_config(directory, labels + price)
    save(fraud_profile_by_season(), directory / "fraud.profile.json")
    with sidecar(directory, config=config, web=1, options=options) as process:
        post(process.url, [event(model="fraud")] * 300 + [event(model="fraud", latency_ms=-1)])
        post(process.url, [event(model="fraud", id=i) for i in range(9)])
        post(process.url, [event(model="price", id=i, prediction=i * 1.5) for i in range(9)])
        known = [{"model": model, "id": i, "label": label} for model, label in TRUE.items() for i in range(5)]
        reply = request(
            process.url, "POST", "/labels", json.dumps(known).encode(), {"Content-Type": "application/json"}
        )
        assert reply.json() == {"accepted": 10, "rejected": 0}
        # What share has a label is said once predictions have had their time to get one.
        wait_until(lambda: "\nmodel_label_coverage_ratio{" in get(process.url, "/metrics").text)
        yield process


@pytest.mark.parametrize("options", [(), ("--enable-feature=native-histograms",)], ids=["text", "protobuf"])
def test_prometheus_scrapes_both_listeners_without_an_error(
    served: SidecarProcess, tmp_path: Path, options: tuple[str, ...]
) -> None:
    ingest, web = (urlsplit(url).netloc for url in (served.url, *served.web_urls))
    config = CONFIG.format(ingest=ingest, web=web)
    with prometheus(tmp_path / "prometheus", config, *options) as query:
        wait_until(lambda: [r["value"][1] for r in query("min(count_over_time(up[1m])) > 2")] != [])
        assert [r["value"][1] for r in query("min_over_time(up[1m])")] == ["1", "1"]
        exposed = parsed(get(served.url, "/metrics").text)
        expected = len({key for key in exposed if key[0].startswith("model_")})
        assert {r["value"][1] for r in query('count by (instance) ({__name__=~"model_.*"})')} == {str(expected)}
        names = {r["metric"]["__name__"] for r in query('{__name__=~"model_.*"}')}
        endings = {"histogram": "_bucket"}
        assert {metric.name + endings.get(metric.type, "") for metric in CATALOGUE} <= names
        for (name, labels), found in exposed.items():
            if name in ("model_drift_psi", "model_bin_observations_total", "model_latency_seconds_bucket"):
                pairs = ",".join(f"{key}={json.dumps(text)}" for key, text in labels)
                results = query(f"{name}{{{pairs}}}")
                assert [float(r["value"][1]) for r in results] == [found, found], (name, labels)
    log = (tmp_path / "prometheus" / "prometheus.log").read_text().splitlines()
    assert [line for line in log if "level=error" in line or ("level=warn" in line and "scrape" in line)] == []


def test_promtool_reads_what_the_process_serves(served: SidecarProcess) -> None:
    text = get(served.url, "/metrics").body
    finished = subprocess.run([program("promtool"), "check", "metrics"], input=text, capture_output=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, b"")


SECURE_CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: authenticated
  scheme: https
  tls_config: {{ca_file: {ca}, server_name: localhost}}
  basic_auth: {{username: prometheus, password: secret}}
  static_configs: [{{targets: ["{web}"]}}]
- job_name: stranger
  scheme: https
  tls_config: {{ca_file: {ca}, server_name: localhost}}
  static_configs: [{{targets: ["{web}"]}}]
- job_name: plain
  static_configs: [{{targets: ["{web}"]}}]
"""


def test_prometheus_scrapes_over_tls_and_basic_authentication_and_nobody_else_does(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    certificate.private_key_pem.write_to_path(tmp_path / "tls.key")
    password = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(
        "tls_server_config: {cert_file: tls.crt, key_file: tls.key, min_version: TLS13}\n"
        f"basic_auth_users: {{prometheus: '{password}'}}\n"
    )
    options = [f"--web.config.file={tmp_path / 'web.yml'}"]
    with sidecar(tmp_path, config=fraud_config(tmp_path), web=1, options=options) as process:
        post(process.url, [event()] * 300)
        address = urlsplit(process.web_urls[0]).netloc
        config = SECURE_CONFIG.format(ca=tmp_path / "ca.pem", web=address)
        with prometheus(tmp_path / "prometheus", config) as query:
            wait_until(lambda: len(query("count_over_time(up[1m]) > 2")) == 3)
            up = {r["metric"]["job"]: r["value"][1] for r in query("max_over_time(up[1m])")}
            assert up == {"authenticated": "1", "stranger": "0", "plain": "0"}
            [predictions] = query("model_predictions_total")
            assert (predictions["metric"]["job"], predictions["value"][1]) == ("authenticated", "300")


def test_a_web_configuration_without_an_address_for_it_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("{}")
    with (
        pytest.raises(RuntimeError, match=r"it is for --web\.listen-address, of which there is none"),
        sidecar(tmp_path, options=[f"--web.config.file={tmp_path / 'web.yml'}"]),
    ):
        pytest.fail("it serves")
