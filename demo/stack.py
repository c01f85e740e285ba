"""Run Prometheus and Alertmanager with the shipped rules and routes, and a webhook that keeps what arrives."""

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from sidecar.cli import main as model_sidecar
from tools.process import end

PROGRAMS = {"prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}
"""Programs that are needed, and the Debian package of each."""

TOKEN = "a-token-for-this-run"


class MissingProgram(Exception):
    """A program is not installed; the message is the command that installs it."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What Alertmanager sent: to which receiver, with which authorization, and the payload."""

    receiver: str
    authorization: str
    payload: dict[str, Any]

    def alerts(self, status: str) -> list[dict[str, Any]]:
        """Return its alerts that are `firing` or `resolved`."""
        return [alert for alert in self.payload["alerts"] if alert["status"] == status]


@dataclass(slots=True)
class Inbox:
    """The notifications that have arrived; whoever waits is woken by the next one."""

    notifications: list[Notification] = field(default_factory=list)
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    def add(self, notification: Notification) -> None:
        """Keep a notification."""
        with self._arrived:
            self.notifications.append(notification)
            self._arrived.notify_all()

    def alerts(self, status: str = "firing") -> list[tuple[str, dict[str, Any]]]:
        """Return every alert that has arrived in a status, with its receiver."""
        return [(n.receiver, alert) for n in list(self.notifications) for alert in n.alerts(status)]

    def wait(
        self, receiver: str, alertname: str, *, status: str = "firing", seconds: float, **labels: str
    ) -> dict[str, Any]:
        """Return the first alert that a receiver gets of a name, status and labels; raises TimeoutError."""
        wanted = {"alertname": alertname, **labels}

        def found() -> dict[str, Any] | None:
            return next(
                (a for r, a in self.alerts(status) if r == receiver and wanted.items() <= a["labels"].items()), None
            )

        with self._arrived:
            alert = self._arrived.wait_for(found, timeout=seconds)
        if alert is None:
            raise TimeoutError(f"{receiver}: no {status} {wanted} in {seconds} s; there were {self._summary()}")
        return alert

    def _summary(self) -> list[str]:
        return [f"{r}: {a['labels']['alertname']}" for r, a in self.alerts()]


@dataclass(frozen=True, slots=True)
class Stack:
    """A running Prometheus and Alertmanager."""

    prometheus_url: str
    alertmanager_url: str
    inbox: Inbox

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an expression gives now, each with `metric` and `value`."""
        answer = _get(f"{self.prometheus_url}/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        return list(answer["data"]["result"])

    def value(self, expression: str) -> float | None:
        """Return the value of an expression that gives one series, or None where it gives none."""
        result = self.query(expression)
        return float(result[0]["value"][1]) if result else None

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that Alertmanager holds, each with `labels` and `status`."""
        return list(_get(f"{self.alertmanager_url}/api/v2/alerts"))

    def wait(self, what: str, condition: Callable[[], bool], *, seconds: float) -> None:
        """Ask until a condition of what Prometheus says holds; raises TimeoutError."""
        _poll(what, condition, seconds=seconds)


@contextmanager
def monitoring(
    directory: Path,
    targets: Mapping[str, str],
    settings: Mapping[str, Any],
    *,
    action_url: str | None = None,
    scrape_interval: str = "1s",
    tracks: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """Scrape `targets` (address to namespace) and alert by the shipped rules, with these settings changed.

    `tracks` (address to `canary` or `stable`) is the label by which a candidate is told from what it is to replace.

    What asks for a rollback or to scale down goes to the inbox, or to `action_url`. Raises MissingProgram.
    """
    _require_programs()
    inbox = Inbox()
    with ExitStack() as stack:
        sink = stack.enter_context(_webhook(inbox))
        prometheus, alertmanager = _free_port(), _free_port()
        _write_rules(directory, settings, sink, action_url)
        _write_prometheus(directory, targets, alertmanager=alertmanager, interval=scrape_interval, tracks=tracks or {})
        stack.enter_context(_running(directory, _alertmanager_command(directory, alertmanager)))
        stack.enter_context(_running(directory, _prometheus_command(directory, prometheus)))
        running = Stack(f"http://127.0.0.1:{prometheus}", f"http://127.0.0.1:{alertmanager}", inbox)
        for url in (running.alertmanager_url, running.prometheus_url):
            _poll(f"{url} to be ready", lambda url=url: _ready(url), seconds=60)  # type: ignore[misc]
        yield running


def _require_programs() -> None:
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        raise MissingProgram(f"sudo apt-get install {' '.join(missing)}")


def _write_rules(directory: Path, settings: Mapping[str, Any], sink: str, action_url: str | None) -> None:
    token = directory / "token"
    token.write_text(TOKEN)
    urls = {action: f"{sink}/{action}" for action in ("alert", "rollback", "scale_down")}
    if action_url is not None:
        urls |= {"rollback": action_url, "scale_down": action_url}
    webhooks = {action: {"url": url, "credentials_file": str(token)} for action, url in urls.items()}
    routed = {**settings, "routing": {**settings.get("routing", {}), **webhooks}}
    changed = directory / "rules-settings.yml"
    changed.write_text(yaml.safe_dump(routed))
    if model_sidecar(["rules", f"--config={changed}", f"--output={directory / 'rules'}"]):
        raise RuntimeError("the rules could not be written")


def _write_prometheus(
    directory: Path, targets: Mapping[str, str], *, alertmanager: int, interval: str, tracks: Mapping[str, str]
) -> None:
    def labels(address: str, namespace: str) -> dict[str, str]:
        return {"namespace": namespace} | ({"track": tracks[address]} if address in tracks else {})

    document = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(directory / "rules" / "*.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
        "scrape_configs": [
            {
                "job_name": "model-sidecar",
                "honor_labels": True,
                "static_configs": [
                    {"targets": [address], "labels": labels(address, namespace)}
                    for address, namespace in targets.items()
                ],
            }
        ],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(document))


def _prometheus_command(directory: Path, port: int) -> list[str]:
    return [
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'prometheus-data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]


def _alertmanager_command(directory: Path, port: int) -> list[str]:
    return [
        "prometheus-alertmanager",
        f"--config.file={directory / 'rules' / 'alertmanager' / 'alertmanager.yml'}",
        f"--storage.path={directory / 'alertmanager-data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]


@contextmanager
def _running(directory: Path, command: Sequence[str]) -> Iterator[None]:
    with (directory / f"{command[0]}.log").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            end(process)


@contextmanager
def _webhook(inbox: Inbox) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver = self.path.strip("/")
            inbox.add(Notification(receiver, self.headers.get("Authorization", ""), json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the inbox tells."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as reply:
        return json.load(reply)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _poll(what: str, condition: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.2)
