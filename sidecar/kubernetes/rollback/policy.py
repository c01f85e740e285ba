"""Policy: what may be done for which alert, where and how often, as YAML parsed into frozen, typed structs."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from sidecar.base.configfile import ConfigError, convert_yaml, read_text
from sidecar.base.duration import Duration
from sidecar.kubernetes.rollback.cluster.protocol import KindName
from sidecar.kubernetes.rollback.payload import Alert
from sidecar.kubernetes.rollback.quiet import QuietHours

Action = Literal["rollback", "scale_down"]
ACTIONS: tuple[Action, ...] = get_args(Action)

Allow = Callable[[bool, str, object, str], None]
"""Note a mistake unless the condition holds: key, value, and what is allowed."""

HISTORY_RECORDS = 20
"""Records kept on a workload, and so the most that `max_per_day` can count."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Scale(_Struct, frozen=True):
    """Replicas to scale down to: a number, or a share such as `50%`; never below `floor`."""

    to: int | str = 1
    floor: int = 1

    def replicas(self, current: int) -> int:
        """Return the number of replicas to have instead of `current`.

        >>> Scale(to="50%", floor=2).replicas(9), Scale(to="10%", floor=2).replicas(9), Scale(to=0).replicas(9)
        (5, 2, 1)
        """
        if isinstance(self.to, int):
            return max(self.to, self.floor)
        return max(-(-current * int(self.to.removesuffix("%")) // 100), self.floor)


class Webhook(_Struct, frozen=True):
    """Where an action is handed on: a POST of JSON, signed with the content of `secret_file`."""

    url: str
    secret_file: str
    timeout: Duration = Duration("5s")


class CircuitBreaker(_Struct, frozen=True):
    """Leave a workload alone for `open_for` after `failures` in a row."""

    failures: int = 3
    open_for: Duration = Duration("15m")


class Listed(_Struct, frozen=True):
    """The workload that serves a model, where labels do not say."""

    model: str
    namespace: str
    name: str
    kind: KindName = "Deployment"


class Policy(_Struct, frozen=True):
    """What is done for the alerts that match.

    `match` compares labels with texts, `match_re` with whole regular expressions. The label `action` must be the action
    of the policy unless one of them says otherwise.
    """

    name: str
    action: Action
    namespaces: tuple[str, ...]
    match: dict[str, str] = {}
    match_re: dict[str, str] = {}
    executor: Literal["workload", "webhook"] = "workload"
    webhook: Webhook | None = None
    scale: Scale = Scale()
    cooldown: Duration = Duration("30m")
    max_per_day: int = 3
    quiet_hours: tuple[QuietHours, ...] = ()
    only_after_rollout: str | bool = "24h"
    managed: Literal["notify", "patch", "webhook"] = "notify"
    dry_run: bool | None = None

    def rollout_seconds(self) -> float | None:
        """Return how long after a rollout a rollback may follow; None for `off`, which YAML reads as false."""
        value = self.only_after_rollout
        return None if value is False or value == "off" else Duration(str(value)).seconds

    def matches(self, alert: Alert) -> bool:
        """Tell whether the policy is for an alert; a label that an alert lacks is an empty text."""
        labels = alert.labels
        exact = self.match if "action" in self.match_re else {"action": self.action, **self.match}
        return all(labels.get(name, "") == value for name, value in exact.items()) and all(
            re.fullmatch(pattern, labels.get(name, "")) for name, pattern in self.match_re.items()
        )


class Rollback(_Struct, frozen=True):
    """Everything the file says. The first policy that matches an alert counts."""

    policies: tuple[Policy, ...]
    dry_run: bool = True
    timezone: str = "UTC"
    kinds: tuple[KindName, ...] = ("Deployment",)
    workloads: tuple[Listed, ...] = ()
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    claim_timeout: Duration = Duration("1m")

    def policy_for(self, alert: Alert) -> Policy | None:
        """Return the first policy that matches."""
        return next((policy for policy in self.policies if policy.matches(alert)), None)

    def is_dry_run(self, policy: Policy) -> bool:
        """Tell whether a policy only says what it would do: its own word, or that of the file."""
        return self.dry_run if policy.dry_run is None else policy.dry_run

    def namespaces(self) -> tuple[str, ...]:
        """Return every namespace that a policy acts in."""
        return tuple(sorted({namespace for policy in self.policies for namespace in policy.namespaces}))


def load(path: Path) -> Rollback:
    """Read and check a policy file; raises ConfigError."""
    return parse(read_text(path), path)


def parse(text: str, path: Path) -> Rollback:
    """Read and check the text of a policy file, and name its secrets by whole paths; raises ConfigError."""
    config = convert_yaml(text, path, Rollback)
    for key, value, allowed in _mistakes(config, path.parent):
        raise ConfigError(f"{path}: {key}: {value!r} is not allowed: {allowed}")
    return msgspec.structs.replace(config, policies=tuple(_beside(policy, path.parent) for policy in config.policies))


def _beside(policy: Policy, directory: Path) -> Policy:
    if policy.webhook is None:
        return policy
    webhook = msgspec.structs.replace(policy.webhook, secret_file=str(directory / policy.webhook.secret_file))
    return msgspec.structs.replace(policy, webhook=webhook)


def _mistakes(config: Rollback, directory: Path) -> list[tuple[str, object, str]]:
    """List what types alone cannot refuse, as key, value and what is allowed."""
    found: list[tuple[str, object, str]] = []

    def allow(condition: bool, key: str, value: object, allowed: str) -> None:
        if not condition:
            found.append((key, value, allowed))

    breaker, claim = config.circuit_breaker, config.claim_timeout
    names = [policy.name for policy in config.policies]
    allow(bool(names), "policies", [], "at least one policy")
    allow(
        _is_timezone(config.timezone), "timezone", config.timezone, "a name such as Europe/Berlin that this host knows"
    )
    allow(bool(config.kinds), "kinds", config.kinds, "at least one kind")
    allow(1 <= breaker.failures <= 100, "circuit_breaker.failures", breaker.failures, "1 to 100")
    allow(breaker.open_for.seconds > 0, "circuit_breaker.open_for", breaker.open_for.text, "more than 0s")
    allow(claim.seconds >= 1, "claim_timeout", claim.text, "at least 1s")
    for i, listed in enumerate(config.workloads):
        at = f"workloads[{i}]"
        allow(bool(listed.model), f"{at}.model", listed.model, "the name of a model")
        allow(_is_name(listed.namespace), f"{at}.namespace", listed.namespace, "a Kubernetes namespace")
        allow(_is_name(listed.name), f"{at}.name", listed.name, "the name of a Kubernetes object")
    for i, policy in enumerate(config.policies):
        at = f"policies[{i}]"
        allow(0 < len(policy.name) <= 100, f"{at}.name", policy.name, "1 to 100 characters")
        allow(policy.name not in names[:i], f"{at}.name", policy.name, "each policy has a name of its own")
        allow(bool(policy.namespaces), f"{at}.namespaces", policy.namespaces, "at least one namespace")
        for namespace in policy.namespaces:
            allow(_is_name(namespace), f"{at}.namespaces", namespace, "names of Kubernetes namespaces")
        allow(
            1 <= policy.max_per_day <= HISTORY_RECORDS,
            f"{at}.max_per_day",
            policy.max_per_day,
            f"1 to {HISTORY_RECORDS}",
        )
        allow(_is_span(policy), f"{at}.only_after_rollout", policy.only_after_rollout, "a duration such as 24h, or off")
        _check_matchers(policy, at, allow)
        _check_execution(policy, at, claim, directory, allow)
    return found


def _check_matchers(policy: Policy, at: str, allow: Allow) -> None:
    for name, pattern in policy.match_re.items():
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            allow(False, f"{at}.match_re.{name}", pattern, f"a regular expression; {error}")
    for i, quiet in enumerate(policy.quiet_hours):
        where = f"{at}.quiet_hours[{i}]"
        allow(quiet.is_clock(), where, f"{quiet.start}-{quiet.end}", "times of day such as 22:00 and 06:00, quoted")
        allow(
            quiet.start != quiet.end,
            where,
            f"{quiet.start}-{quiet.end}",
            "two times that differ; 00:00 to 24:00 is a day",
        )
        allow(bool(quiet.days), f"{where}.days", quiet.days, "at least one day")


def _check_execution(policy: Policy, at: str, claim: Duration, directory: Path, allow: Allow) -> None:
    to = policy.scale.to
    fits = bool(re.fullmatch(r"[1-9]?\d%", to)) if isinstance(to, str) else to >= 0
    allow(fits, f"{at}.scale.to", to, "a number of replicas, or a share below 100% such as '50%'")
    allow(policy.scale.floor >= 0, f"{at}.scale.floor", policy.scale.floor, "at least 0")
    webhook = policy.webhook
    wanted = policy.executor == "webhook" or policy.managed == "webhook"
    allow(
        not wanted or webhook is not None,
        f"{at}.webhook",
        None,
        "an url and a secret_file, for what is handed on to it",
    )
    if webhook is not None:
        allow(
            "@" not in webhook.url.partition("://")[2].partition("/")[0],
            f"{at}.webhook.url",
            "a URL with a password",
            "a URL without: it is shown in logs and histories, the secret is in secret_file",
        )
        allow(
            _is_http_url(webhook.url),
            f"{at}.webhook.url",
            webhook.url,
            "an http(s) URL",
        )
        allow(
            0 < webhook.timeout.seconds <= claim.seconds / 2,
            f"{at}.webhook.timeout",
            webhook.timeout.text,
            f"more than 0s and at most half of claim_timeout, {claim.text}",
        )
        allow(
            bool(read_text(directory / webhook.secret_file).strip()),
            f"{at}.webhook.secret_file",
            webhook.secret_file,
            "a file with a secret",
        )


def _is_span(policy: Policy) -> bool:
    try:
        seconds = policy.rollout_seconds()
    except ValueError:
        return False
    return seconds is None or seconds > 0


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # unbalanced brackets, or an invalid port
        return False


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
