from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.base.configfile import ConfigError
from sidecar.kubernetes.rollback.policy import Policy, Scale, load
from sidecar.kubernetes.rollback.quiet import DAYS, QuietHours
from tests.kubernetes.rollback.support import an_alert, policy

ONE = "policies: [{{name: a, action: rollback, namespaces: [ml]{}}}]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it lacks the key `policies`"),
        ("policies: []", "policies: [] is not allowed: at least one policy"),
        (
            ONE.format(", webhook: {url: 'http://me:hidden@a', secret_file: secret}"),
            "policies[0].webhook.url: 'a URL with a password' is not allowed: "
            "a URL without: it is shown in logs and histories, the secret is in secret_file",
        ),
        (
            ONE.format(", webhook: {url: 'http://[', secret_file: secret}"),
            "policies[0].webhook.url: 'http://[' is not allowed: an http(s) URL",
        ),
        (
            ONE.format(", webhook: {url: 'http://x:y', secret_file: secret}"),
            "policies[0].webhook.url: 'http://x:y' is not allowed: an http(s) URL",
        ),
        (
            ONE.format(", match_re: {a: 'x{99999999999}'}"),
            "policies[0].match_re.a: 'x{99999999999}' is not allowed: a regular expression; "
            "the repetition number is too large",
        ),
        (ONE.format(", action: scale_up"), "line 1: the key 'action' is there twice"),
        (
            "policies: [{name: a, action: scale_up, namespaces: [ml]}]",
            "policies[0].action: 'scale_up': Invalid enum value 'scale_up'",
        ),
        (
            ONE.format(", only_after_rollout: 0s"),
            "policies[0].only_after_rollout: '0s' is not allowed: a duration such as 24h, or off",
        ),
        (ONE.format(", cooldwn: 1h"), "policies[0]: there is no such key: `cooldwn`; did you mean cooldown?"),
        (
            ONE.format(", cooldown: soon"),
            "policies[0].cooldown: 'soon' is not a duration such as 30s, 5m, 1h30m or 1d",
        ),
        (ONE.format(", max_per_day: 0"), "policies[0].max_per_day: 0 is not allowed: 1 to 20"),
        (
            "policies: [{name: a, action: rollback, namespaces: []}]",
            "policies[0].namespaces: () is not allowed: at least one namespace",
        ),
        (
            "policies: [{name: a, action: rollback, namespaces: ['*']}]",
            "policies[0].namespaces: '*' is not allowed: names of Kubernetes namespaces",
        ),
        (
            "policies: [{name: a, action: rollback, namespaces: [../../kube-system]}]",
            "policies[0].namespaces: '../../kube-system' is not allowed: names of Kubernetes namespaces",
        ),
        (
            "policies: [{name: a, action: rollback, namespaces: [a]}, {name: a, action: scale_down, namespaces: [a]}]",
            "policies[1].name: 'a' is not allowed: each policy has a name of its own",
        ),
        (
            ONE.format(", match_re: {model: '('}"),
            "policies[0].match_re.model: '(' is not allowed: a regular expression; "
            "missing ), unterminated subpattern at position 0",
        ),
        (
            ONE.format(", quiet_hours: [{from: '25:00', to: '06:00'}]"),
            "policies[0].quiet_hours[0]: '25:00-06:00' is not allowed: times of day such as 22:00 and 06:00, quoted",
        ),
        (
            ONE.format(", quiet_hours: [{from: '06:00', to: '06:00'}]"),
            "policies[0].quiet_hours[0]: '06:00-06:00' is not allowed: two times that differ; 00:00 to 24:00 is a day",
        ),
        (
            ONE.format(", executor: webhook"),
            "policies[0].webhook: None is not allowed: an url and a secret_file, for what is handed on to it",
        ),
        (
            ONE.format(", webhook: {url: 'ftp://a', secret_file: secret}"),
            "policies[0].webhook.url: 'ftp://a' is not allowed: an http(s) URL",
        ),
        (
            ONE.format(", webhook: {url: 'http://a', secret_file: secret, timeout: 45s}"),
            "policies[0].webhook.timeout: '45s' is not allowed: more than 0s and at most half of claim_timeout, 1m",
        ),
        (
            ONE.format(", webhook: {url: 'http://a', secret_file: empty}"),
            "policies[0].webhook.secret_file: 'empty' is not allowed: a file with a secret",
        ),
        (
            ONE.format(", scale: {to: '120%'}"),
            "policies[0].scale.to: '120%' is not allowed: a number of replicas, or a share below 100% such as '50%'",
        ),
        (ONE.format(", scale: {floor: -1}"), "policies[0].scale.floor: -1 is not allowed: at least 0"),
        (
            "timezone: Mars/Olympus\n" + ONE.format(""),
            "timezone: 'Mars/Olympus' is not allowed: a name such as Europe/Berlin that this host knows",
        ),
        ("kinds: []\n" + ONE.format(""), "kinds: () is not allowed: at least one kind"),
        (
            "circuit_breaker: {failures: 0}\n" + ONE.format(""),
            "circuit_breaker.failures: 0 is not allowed: 1 to 100",
        ),
        ("claim_timeout: 10ms\n" + ONE.format(""), "claim_timeout: '10ms' is not allowed: at least 1s"),
        (
            "workloads: [{model: fraud, namespace: ml, name: Fraud_Server}]\n" + ONE.format(""),
            "workloads[0].name: 'Fraud_Server' is not allowed: the name of a Kubernetes object",
        ),
    ],
)
def test_a_mistake_is_told_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "empty").write_text("\n")
    path = tmp_path / "policy.yml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load(path)

    assert str(caught.value) in (f"{path}: {message}", f"{path}:{' ' if message.startswith('line') else ''}{message}")


def test_a_policy_is_a_dry_run_unless_it_says_otherwise() -> None:
    config = policy(ONE.format(""))

    assert config.is_dry_run(config.policies[0])


@pytest.mark.parametrize(
    ("everything", "own", "dry"),
    [("true", ", dry_run: false", False), ("false", "", False), ("false", ", dry_run: true", True)],
)
def test_what_a_policy_says_of_dry_runs_counts_more_than_the_file(everything: str, own: str, dry: bool) -> None:
    config = policy(f"dry_run: {everything}\n" + ONE.format(own))

    assert config.is_dry_run(config.policies[0]) is dry


@pytest.mark.parametrize(
    ("match", "labels", "fits"),
    [
        ("", {}, True),
        ("", {"action": "scale_down"}, False),
        (", match: {severity: critical, model: fraud}", {}, True),
        (", match: {severity: warning}", {}, False),
        (", match: {team: ''}", {}, True),
        (", match_re: {model: 'fr.*|churn'}", {}, True),
        (", match_re: {model: 'fra'}", {}, False),
        (", match: {action: undo}", {"action": "undo"}, True),
        (", match_re: {action: 'roll.*'}", {"action": "rolling"}, True),
    ],
)
def test_labels_choose_the_policy(match: str, labels: dict[str, Any], fits: bool) -> None:
    config = policy(ONE.format(match))

    assert (config.policy_for(an_alert(**labels)) is not None) is fits


def test_the_first_policy_that_matches_counts() -> None:
    config = policy(
        "policies: [{name: a, action: rollback, namespaces: [x]}, {name: b, action: rollback, namespaces: [ml]}]"
    )

    chosen = config.policy_for(an_alert())

    assert isinstance(chosen, Policy)
    assert chosen.name == "a"


@given(st.integers(0, 1000), st.integers(0, 1000) | st.integers(0, 99).map(lambda n: f"{n}%"), st.integers(0, 50))
def test_no_scale_goes_below_its_floor(current: int, to: int | str, floor: int) -> None:
    assert Scale(to=to, floor=floor).replicas(current) >= floor


minutes = st.integers(0, 24 * 60 - 1).map(lambda m: f"{m // 60:02}:{m % 60:02}")


@given(minutes, minutes, st.sets(st.sampled_from(DAYS), min_size=1), st.integers(0, 7 * 24 * 60 - 1))
def test_quiet_hours_are_what_a_walk_through_the_week_finds(start: str, end: str, days: set[str], at: int) -> None:
    if start == end:
        return
    quiet = QuietHours(start=start, end=end, days=tuple(days))  # type: ignore[arg-type]
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    length = (_minute(end) - _minute(start)) % (24 * 60)
    spans = [(DAYS.index(day) * 24 * 60 + _minute(start)) for day in DAYS if day in days]
    within = any(begin <= at + week < begin + length for begin in spans for week in (0, 7 * 24 * 60))

    assert quiet.hold(monday + timedelta(minutes=at)) is within


def _minute(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])
