"""What docs/rollback.md says is what the program does."""

import argparse
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.cli import rollback
from sidecar.kubernetes.rollback import metrics
from sidecar.kubernetes.rollback.history import HISTORY, ROLLED_BACK_FROM
from sidecar.kubernetes.rollback.outcome import RETRIED, TOLD, Outcome
from sidecar.kubernetes.rollback.payload import parse as parse_payload
from sidecar.kubernetes.rollback.policy import CircuitBreaker, Listed, Policy, Rollback, Scale, Webhook
from sidecar.kubernetes.rollback.policy import parse as parse_policy
from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes
from tests.kubernetes.rollback.support import NOON, Clock, alert_json, deploy, policy, receiver, workload
from tests.kubernetes.rollback.test_inference_service import CANARY, serve
from tests.paths import ROOT
from tests.plugins.programs import program

DOCUMENT = (ROOT / "docs" / "rollback.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return DOCUMENT.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def block(title: str, language: str, number: int = 0) -> str:
    found: list[str] = re.findall(rf"^ *```{language}\n(.*?)^ *```", section(title), re.DOTALL | re.MULTILINE)
    return found[number]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_outcome_is_there_with_its_answer() -> None:
    told = {Outcome(row[0].split("`")[1]): (row[1], row[0].endswith("*")) for row in rows("Outcomes")}

    assert told == {outcome: ("503" if outcome in RETRIED else "200", outcome in TOLD) for outcome in Outcome}


def test_every_metric_is_there_with_its_labels() -> None:
    told = {row[0].strip("`"): re.findall(r"`(\w+)`", row[1]) for row in rows("Metrics")}

    assert told == {metric.name: list(metric.labels) for metric in metrics.CATALOGUE}


def test_every_option_is_there() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    rollback.add_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings}

    assert {option for row in rows("Options") for option in re.findall(r"--[\w.-]+", row[0])} == options


def test_the_example_of_all_settings_has_all_settings(tmp_path: Path) -> None:
    text = block("Policies", "yaml")
    (tmp_path / "secret").write_text("s")

    config = parse_policy(text, tmp_path / "policy.yml")

    assert [policy.name for policy in config.policies] == ["fraud", "fraud-down", "elsewhere"]
    for struct in (Rollback, Policy, CircuitBreaker, Scale, Webhook, Listed):
        for name in (field.encode_name for field in msgspec.structs.fields(struct)):
            assert re.search(rf"\b{name}:", text), f"{struct.__name__}.{name} is not in the example"


def test_annotations_are_named() -> None:
    assert HISTORY in DOCUMENT
    assert ROLLED_BACK_FROM in DOCUMENT


async def test_the_dry_run_of_the_first_steps_says_what_it_would_do(clock: Clock, fake: FakeKubernetes) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    config = parse_policy(block("Switching it on", "yaml"), Path("policy.yml"))
    words = shlex.split(block("Switching it on", "sh", 1))
    now = "$(date -u +%FT%TZ)"
    text = words[words.index("--data") + 1]
    assert now in text
    body = text.replace(now, f"{NOON:%Y-%m-%dT%H:%M:%SZ}").encode()
    [alert] = parse_payload(body).alerts
    assert alert.starts_at == NOON

    async with receiver(fake, clock, config) as one:
        status, document = await one.post(body)

    assert status == 200
    assert document["alerts"][0]["outcome"] == "dry_run"
    assert fake.log == []


def test_commands_have_options_that_are_there() -> None:
    parser = argparse.ArgumentParser()
    rollback.add_arguments(parser)
    words = shlex.split(block("Switching it on", "sh", 0).replace("\\\n", " "))

    args = parser.parse_args(words[words.index("rollback") + 1 :])

    assert (args.kubernetes_mode, args.objects_file) == ("none", Path("objects.yml"))


async def test_the_role_allows_what_is_asked_for_and_no_more(fake: FakeKubernetes, clock: Clock) -> None:
    """Every executor and guard runs against the fake; the union of the requests is the Role."""
    for run in (_deployments, _rollouts, _inference_services, _autoscaled):
        await run(fake, clock)
    document, account, binding = yaml.safe_load_all(block("Permissions", "yaml"))
    allowed = {
        (group, resource, verb)
        for rule in document["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }

    assert {request.rule() for request in fake.requests} == allowed
    assert {request.namespace for request in fake.requests} == {document["metadata"]["namespace"]}
    assert binding["metadata"]["namespace"] == document["metadata"]["namespace"]
    assert binding["roleRef"]["name"] == document["metadata"]["name"]
    assert binding["subjects"] == [{"kind": account["kind"], **account["metadata"]}]


LISTED = """
dry_run: false
policies:
  - {{name: up, action: rollback, namespaces: [ml]}}
  - {{name: down, action: scale_down, namespaces: [ml]}}
workloads: [{{model: fraud, namespace: ml, kind: {kind}, name: {name}}}]
"""


async def _both_ways(fake: FakeKubernetes, clock: Clock, kind: str, name: str, action: str) -> None:
    """Act on a workload that is listed, then look for it by its labels."""
    async with receiver(fake, clock, policy(LISTED.format(kind=kind, name=name))) as one:
        assert (await one.send(alert_json(action=action)))[1] == ["done"]
        await one.get("/history")
    text = f"kinds: [{kind}]\npolicies: [{{name: up, action: {action}, namespaces: [ml]}}]"
    async with receiver(fake, clock, policy(text)) as one:
        assert (await one.send(alert_json(action=action)))[1] == ["duplicate"]
    for key in list(fake.objects):
        del fake.objects[key]


async def _deployments(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2")
    await _both_ways(fake, clock, "Deployment", "fraud-server", "rollback")


async def _rollouts(fake: FakeKubernetes, clock: Clock) -> None:
    deploy(fake, "fraud:1", "fraud:2", kind="Rollout")
    await _both_ways(fake, clock, "Rollout", "fraud-server", "rollback")


async def _inference_services(fake: FakeKubernetes, clock: Clock) -> None:
    serve(fake, CANARY)
    await _both_ways(fake, clock, "InferenceService", "fraud", "rollback")


async def _autoscaled(fake: FakeKubernetes, clock: Clock) -> None:
    fake.put("deployments", workload())
    target = {"kind": "Deployment", "name": "fraud-server"}
    fake.put(
        "horizontalpodautoscalers",
        {"metadata": {"name": "hpa"}, "spec": {"minReplicas": 3, "maxReplicas": 9, "scaleTargetRef": target}},
    )
    await _both_ways(fake, clock, "Deployment", "fraud-server", "scale_down")


async def test_the_message_that_is_handed_on_has_the_fields_of_the_example(
    fake: FakeKubernetes, clock: Clock, tmp_path: Path
) -> None:
    sent: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        sent.append(await request.json())
        return web.Response()

    application = web.Application()
    application.router.add_post("/", take)
    server = TestServer(application)
    await server.start_server()
    (tmp_path / "secret").write_text("s")
    deploy(fake, "fraud:1", "fraud:2")
    text = f"""
dry_run: false
policies: [{{name: elsewhere, action: rollback, namespaces: [ml], executor: webhook,
            webhook: {{url: "{server.make_url("/")}", secret_file: secret}}}}]
"""
    async with receiver(fake, clock, policy(text, tmp_path)) as one:
        assert await one.send() == (200, ["done"])
    await server.close()

    example = json.loads(block("Handing on", "json"))
    assert list(sent[0]) == list(example)
    assert {name: type(value) for name, value in sent[0].items()} == {name: type(v) for name, v in example.items()}


def test_alertmanager_takes_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    text = block("Alertmanager", "yaml")
    for name in ("rollback-token", "rollback-ca.crt"):
        (tmp_path / name).write_text("")
        text = text.replace(f"/etc/alertmanager/{name}", str(tmp_path / name))
    path.write_text(text.replace(f", tls_config: {{ca_file: {tmp_path}/rollback-ca.crt}}", ""))

    checked = subprocess.run([program("amtool"), "check-config", path], capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "SUCCESS" in checked.stdout


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    text = block("Metrics", "yaml")
    for name in ("rollback-token", "rollback-ca.crt"):
        (tmp_path / name).write_text("")
        text = text.replace(f"/etc/prometheus/{name}", str(tmp_path / name))
    path = tmp_path / "prometheus.yml"
    path.write_text(text)

    checked = subprocess.run(
        [program("promtool"), "check", "config", path], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "SUCCESS" in checked.stdout


def test_alerts_go_to_the_receiver_by_their_action(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(block("Alertmanager", "yaml"))

    for action, receivers in (("rollback", "model-sidecar-rollback,people"), ("page", "people")):
        command = [program("amtool"), "config", "routes", "test", f"--config.file={path}", f"action={action}"]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        assert told.stdout.strip() == receivers, told.stderr
