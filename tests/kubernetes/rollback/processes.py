"""Receivers and Alertmanagers as processes of their own, on loopback."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from sidecar.alerting.rules.alertmanager import configuration
from sidecar.alerting.rules.settings import Routing, Webhook
from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes
from tests.plugins.programs import program

PATIENCE_SECONDS = 60
TOKEN = "between-alertmanager-and-me"

POLICIES = """
dry_run: false
claim_timeout: 2s
policies: [{name: fraud, action: rollback, namespaces: [ml], match: {severity: critical}}]
"""


@dataclass
class Process:
    """A process whose log lines are read one after the other."""

    handle: asyncio.subprocess.Process
    lines: list[dict[str, Any]] = field(default_factory=list)

    async def line(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the next line of the log that fits."""
        assert self.handle.stderr is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while text := await self.handle.stderr.readline():
                try:
                    entry: dict[str, Any] = json.loads(text)
                except ValueError:
                    entry = {"msg": text.decode()}
                self.lines.append(entry)
                if fits(entry):
                    return entry
        raise AssertionError(f"ended before it said so: {self.lines}")

    async def decided(self, outcome: str) -> dict[str, Any]:
        """Return the next decision with an outcome."""
        return await self.line(lambda entry: entry.get("outcome") == outcome)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        if self.handle.returncode is None:
            self.handle.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the end."""
        assert self.handle.stderr is not None
        await self.handle.stderr.read()
        return await asyncio.wait_for(self.handle.wait(), PATIENCE_SECONDS)


@dataclass
class Machine:
    """Where processes are started: a directory for their files, and the cluster they talk to."""

    directory: Path
    kubernetes: FakeKubernetes

    def __post_init__(self) -> None:
        self._write("policy.yml", POLICIES)
        self._write("web.yml", "bearer_token_file: token\n")
        self._write("token", TOKEN)
        self._write(
            "kubeconfig",
            json.dumps(
                {
                    "current-context": "fake",
                    "clusters": [{"name": "fake", "cluster": {"server": self.kubernetes.url}}],
                    "users": [{"name": "fake", "user": {"token": "t0ken"}}],
                    "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
                }
            ),
        )

    def _write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path

    @asynccontextmanager
    async def receiver(self, port: int, *more: str) -> AsyncIterator[Process]:
        """Start a receiver, with more options, and wait until it listens."""
        handle = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sidecar", "rollback"),
            f"--config.file={self.directory / 'policy.yml'}",
            f"--web.config.file={self.directory / 'web.yml'}",
            f"--web.listen-address=127.0.0.1:{port}",
            f"--kubernetes.kubeconfig={self.directory / 'kubeconfig'}",
            "--log.format=json",
            *more,
            stderr=asyncio.subprocess.PIPE,
        )
        process = Process(handle)
        try:
            await process.line(lambda entry: entry["msg"] == "listening")
            yield process
        finally:
            await process.stop(signal.SIGKILL)

    def shipped_routes(self, *, sends_to: int) -> dict[str, Any]:
        """Return the configuration of Alertmanager that is shipped, with shorter times."""
        webhook = Webhook(url=f"http://127.0.0.1:{sends_to}/alerts", credentials_file=str(self.directory / "token"))
        return configuration(
            Routing(rollback=webhook, scale_down=webhook, alert=webhook, action_group_wait="0s", group_interval="1s")
        )

    @asynccontextmanager
    async def alertmanager(
        self, port: int, *, sends_to: int, routes: dict[str, Any] | None = None
    ) -> AsyncIterator[str]:
        """Start an Alertmanager, one that repeats itself every second unless routes are given."""
        config = self._write(
            f"alertmanager-{port}.yml",
            json.dumps(routes)
            if routes
            else f"""
route:
  receiver: rollback
  group_by: [model]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1s
receivers:
  - name: rollback
    webhook_configs:
      - url: http://127.0.0.1:{sends_to}/alerts
        http_config: {{authorization: {{credentials_file: {self.directory / "token"}}}}}
""",
        )
        handle = await asyncio.create_subprocess_exec(
            program("prometheus-alertmanager"),
            f"--config.file={config}",
            f"--storage.path={self.directory / f'alertmanager-{port}'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            "--log.format=json",
            stderr=asyncio.subprocess.PIPE,
        )
        process = Process(handle)
        try:
            await process.line(lambda entry: entry.get("msg") == "Listening on")
            yield f"http://127.0.0.1:{port}"
        finally:
            await process.stop(signal.SIGKILL)


async def fire(alertmanager: str, labels: dict[str, str], *, starts_at: datetime) -> None:
    """Send an alert as Prometheus does."""
    alert = {
        "labels": labels,
        "annotations": {},
        "startsAt": starts_at.isoformat(),
        "generatorURL": "http://prometheus",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{alertmanager}/api/v2/alerts", json=[alert]) as response,
    ):
        assert response.status == 200, await response.text()
