"""Webhook: hand the action on, as a signed POST, to a service that carries it out.

Where it goes does not share a transaction with the history, so this takes a claim before and a note after it. Whoever
is killed in between leaves a claim, and the request is made again once it runs out: at least once, and with the same
`Idempotency-Key`, by which the other side tells it from another.
"""

import hashlib
import hmac
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec

from sidecar.base.configfile import ConfigError, read_text
from sidecar.kubernetes.rollback.cluster.protocol import Cluster
from sidecar.kubernetes.rollback.cluster.workload import Workload
from sidecar.kubernetes.rollback.decide import Act
from sidecar.kubernetes.rollback.executors.executor import Failed
from sidecar.kubernetes.rollback.history import History, Record
from sidecar.kubernetes.rollback.plan import Impossible, Plan
from sidecar.kubernetes.rollback.policy import Policy

_ANSWER_BYTES = 200


class HandOn:
    """POST what is to be done. The secret is read at each request, so that it can be rotated."""

    name = "webhook"
    one_patch = False

    def __init__(self, session: aiohttp.ClientSession, clock: Callable[[], float] = time.time) -> None:
        self._session = session
        self._clock = clock

    def plan(self, policy: Policy, workload: Workload, history: History, claimed: Record | None) -> Plan | Impossible:
        """Say where it is handed on to; what it is rolled back to, the other side decides."""
        assert policy.webhook is not None
        return Plan(from_="", to="", summary=f"hand on the {policy.action} of {workload} to {policy.webhook.url}")

    async def carry_out(self, cluster: Cluster, policy: Policy, act: Act) -> None:
        """Make the request; any answer but 2xx is a failure."""
        webhook = policy.webhook
        assert webhook is not None
        body = msgspec.json.encode(message(act))
        try:
            secret = read_text(Path(webhook.secret_file)).strip().encode()
        except ConfigError as error:
            raise Failed(str(error)) from error
        sent_at = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": act.record.key,
            "X-Model-Sidecar-Timestamp": sent_at,
            "X-Model-Sidecar-Signature": f"sha256={sign(secret, sent_at, body)}",
        }
        timeout = aiohttp.ClientTimeout(total=webhook.timeout.seconds)
        try:
            async with self._session.post(
                webhook.url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                if not 200 <= response.status < 300:
                    answer = (await response.content.read(_ANSWER_BYTES)).decode(errors="replace").strip()
                    raise Failed(f"{webhook.url} answered {response.status}: {answer}")
        except TimeoutError as error:
            raise Failed(f"{webhook.url} did not answer within {webhook.timeout.text}") from error
        except aiohttp.ClientError as error:
            raise Failed(f"{webhook.url} cannot be reached: {error}") from error


def message(act: Act) -> dict[str, object]:
    """Return the body: `name` and `namespace` of the workload come first, as the gates of Flagger want them."""
    return {
        "name": act.workload.name,
        "namespace": act.workload.namespace,
        "kind": act.workload.kind,
        "action": act.record.action,
        "model": act.alert.labels.get("model", ""),
        "policy": act.record.policy,
        "key": act.record.key,
        "startsAt": act.alert.starts_at,
        "labels": dict(act.alert.labels),
    }


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the HMAC-SHA256, in hex, of the time, a dot, and the body."""
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
