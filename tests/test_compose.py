"""The files for containers name what is there: what can be checked of them without a container engine."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.send import get
from tests.paths import ROOT
from tests.plugins.programs import model_sidecar, program
from tools.process import sidecar


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


def test_every_file_that_is_mounted_is_there(compose: dict[str, Any]) -> None:
    mounted = [
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]
    assert mounted
    assert [path for path in mounted if not (ROOT / path).exists()] == []


def test_every_volume_and_dependency_is_declared(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        named = {v.split(":")[0] for v in service.get("volumes", []) if not v.startswith("./")}
        assert named <= set(compose["volumes"])


def test_every_stage_that_is_built_and_everything_it_copies_is_there(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, re.MULTILINE))
    assert {s["build"]["target"] for s in compose["services"].values() if "build" in s} <= stages
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        for source in sources.split():
            name = source.removeprefix("./")
            assert (ROOT / name).exists()
            assert name in allowed


def test_prometheus_and_alertmanager_accept_their_configuration(tmp_path: Path) -> None:
    folder = ROOT / "examples" / "compose"
    here = tmp_path / "prometheus.yml"
    here.write_text((folder / "prometheus.yml").read_text().replace("/etc/prometheus/rules", str(ROOT / "rules")))
    subprocess.run([program("promtool"), "check", "config", here], check=True, capture_output=True)
    command = [program("amtool"), "check-config", str(folder / "alertmanager.yml")]
    subprocess.run(command, check=True, capture_output=True)


def test_the_sidecar_scrapes_where_prometheus_is_told_to(compose: dict[str, Any]) -> None:
    scraped = yaml.safe_load((ROOT / "examples" / "compose" / "prometheus.yml").read_text())
    target = scraped["scrape_configs"][0]["static_configs"][0]["targets"][0]
    assert f"--web.listen-address=:{target.split(':')[1]}" in compose["services"]["sidecar"]["command"]


def test_grafana_finds_its_dashboards_begins_with_the_overview_and_asks_that_prometheus(
    compose: dict[str, Any],
) -> None:
    grafana = compose["services"]["grafana"]
    mounted = {there: ROOT / here for here, there, _ in (volume.split(":") for volume in grafana["volumes"])}
    provisioning = mounted["/etc/grafana/provisioning"]
    [provider] = yaml.safe_load((provisioning / "dashboards" / "model-sidecar.yml").read_text())["providers"]
    assert len(list(mounted[provider["options"]["path"]].glob("*.json"))) == 5
    folder, _, name = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].rpartition("/")
    assert json.loads((mounted[folder] / name).read_text())["uid"] == "model-drift"
    sources = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert [s["url"] for s in sources if s["type"] == "prometheus"] == ["http://prometheus:9090"]


def test_actions_go_to_the_receiver_whose_policies_are_sound_and_dry(compose: dict[str, Any]) -> None:
    routes = yaml.safe_load((ROOT / "examples" / "compose" / "alertmanager.yml").read_text())
    [url] = [hook["url"] for receiver in routes["receivers"] for hook in receiver.get("webhook_configs", [])]
    scraped = yaml.safe_load((ROOT / "examples" / "compose" / "prometheus.yml").read_text())["scrape_configs"]
    assert url == f"http://{scraped[1]['static_configs'][0]['targets'][0]}/alerts"
    policies = ROOT / "examples" / "compose" / "rollback.yml"
    assert f"./{policies.relative_to(ROOT)}:" in compose["services"]["rollback"]["volumes"][0]
    checked = model_sidecar("rollback", f"--config.file={policies}", "--kubernetes.mode=none", "--check")
    assert checked.returncode == 0, checked.stderr
    assert "dry_run: false" not in policies.read_text()


def test_the_traffic_of_the_containers_is_counted(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "demo.traffic"]
    subprocess.run([*run, "prepare", tmp_path], check=True, cwd=ROOT, timeout=400)
    with sidecar(tmp_path, config=tmp_path / "sidecar.yml") as process:
        command = [*run, "send", process.url, "--days=2", "--seconds-per-day=0"]
        sent = subprocess.run(command, check=True, cwd=ROOT, timeout=400, capture_output=True, text=True)
        assert sent.stdout.splitlines() == ["2013-01-01: 842 flights", "2013-01-02: 943 flights"]
        features = get(f"{process.url}/drift")["models"]["flights"]["features"]
        assert {feature["windows"]["24h"]["samples"] for feature in features} == {842 + 943}
