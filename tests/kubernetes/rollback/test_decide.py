"""Properties of the decision: whatever is known, an action keeps every guard."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sidecar.kubernetes.rollback.cluster.workload import Workload
from sidecar.kubernetes.rollback.decide import Act, Failures, Skip, admit, decide
from sidecar.kubernetes.rollback.executors.deployment import DeploymentUndo
from sidecar.kubernetes.rollback.history import History, Record
from sidecar.kubernetes.rollback.outcome import Outcome
from sidecar.kubernetes.rollback.payload import Alert
from sidecar.kubernetes.rollback.policy import Policy, Rollback
from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes
from tests.kubernetes.rollback.support import NOON, an_alert, deploy, policy

CONFIG = policy(
    "dry_run: false\npolicies: [{name: p, action: rollback, namespaces: [ml], cooldown: 30m, max_per_day: 2}]"
)
ALERT = an_alert()
HASHES = {"fraud:1": "", "fraud:2": "", "fraud:3": ""}


def deployed() -> Workload:
    fake = FakeKubernetes()
    fake.now = lambda: NOON - timedelta(hours=1)
    deploy(fake, *HASHES)
    for replica_set in fake.all("replicasets"):
        image = replica_set["spec"]["template"]["spec"]["containers"][0]["image"].removeprefix("registry/")
        HASHES[image] = replica_set["metadata"]["labels"]["pod-template-hash"]
    return Workload(
        kind="Deployment",
        namespace="ml",
        name="fraud-server",
        object=fake.get("deployments", "fraud-server"),
        replica_sets=tuple(fake.all("replicasets")),
    )


WORKLOAD = deployed()

records = st.builds(
    Record,
    key=st.sampled_from([ALERT.key("rollback"), "a", "b", "c", "d"]),
    action=st.sampled_from(["rollback", "scale_down"]),
    policy=st.just("p"),
    alert=st.just("a"),
    at=st.integers(-48 * 60, 5).map(lambda minutes: NOON + timedelta(minutes=minutes)),
    state=st.sampled_from(["claimed", "done", "failed"]),
    from_=st.sampled_from(list(HASHES.values())),
    to=st.sampled_from(list(HASHES.values())),
    by=st.just("other"),
    until=st.none() | st.integers(-60, 60).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    attempts=st.integers(1, 3),
)


def decision(history: History) -> Act | Skip:
    assert WORKLOAD.object is not None
    about = WORKLOAD.object["metadata"]
    document = {**WORKLOAD.object, "metadata": {**about, "annotations": history.annotations()}}
    workload = Workload(
        kind="Deployment", namespace="ml", name="fraud-server", object=document, replica_sets=WORKLOAD.replica_sets
    )
    return decide(
        ALERT,
        CONFIG.policies[0],
        [workload],
        config=CONFIG,
        planner=DeploymentUndo().plan,
        failures=Failures(),
        instance="me",
        now=NOON,
    )


@given(st.lists(records, max_size=6))
def test_an_action_keeps_every_guard(noted: list[Record]) -> None:
    history = History()
    for record in sorted(noted, key=lambda r: r.at):
        history = history.noting(record)

    decided = decision(history)

    if not isinstance(decided, Act):
        return
    own = history.find(decided.record.key)
    assert own is None or own.state != "done"
    assert decided.plan.from_ == HASHES["fraud:3"]
    assert decided.plan.to not in history.rolled_back_from
    if own and own.state == "claimed":
        assert own.until is None or own.until <= NOON
        return
    acted = [record for record in history.records if record.state != "failed"]
    assert all(NOON - record.at >= timedelta(minutes=30) for record in acted)
    assert sum(NOON - record.at < timedelta(days=1) for record in acted) < 2
    last = history.last_rollback()
    assert last is None or last.to != decided.plan.from_


def test_without_a_history_it_acts_and_with_its_record_it_does_not() -> None:
    first = decision(History())
    assert isinstance(first, Act)
    assert first.plan.to == HASHES["fraud:2"]

    again = decision(History().noting(first.record))

    assert isinstance(again, Skip)
    assert again.outcome is Outcome.DUPLICATE


def test_a_name_of_any_length_makes_a_short_record() -> None:
    long = Alert(firing=True, labels={**ALERT.labels, "alertname": "x" * 10**6}, starts_at=NOON, fingerprint="f")
    decided = decide(
        long,
        CONFIG.policies[0],
        [WORKLOAD],
        config=CONFIG,
        planner=DeploymentUndo().plan,
        failures=Failures(),
        instance="me",
        now=NOON,
    )

    assert isinstance(decided, Act)
    assert len(decided.record.alert) == 100


label_names = st.sampled_from(["action", "namespace", "model", "severity"])
label_values = st.sampled_from(["rollback", "scale_down", "ml", "prod", "fraud", "critical", ""])


@given(
    st.dictionaries(label_names, label_values),
    st.dictionaries(label_names, label_values),
    st.sampled_from(["rollback", "scale_down"]),
    st.sets(st.sampled_from(["ml", "prod"]), min_size=1),
    st.booleans(),
)
def test_what_is_admitted_matches_and_fires_and_is_in_an_allowed_namespace(
    labels: dict[str, str], match: dict[str, str], action: Any, namespaces: set[str], firing: bool
) -> None:
    rule = Policy(name="p", action=action, namespaces=tuple(namespaces), match=match)
    alert = Alert(firing=firing, labels=labels, starts_at=NOON, fingerprint="f")

    admitted = admit(alert, Rollback(policies=(rule,)), now=NOON)

    wanted = {"action": action, **match}
    fits = all(labels.get(name, "") == value for name, value in wanted.items())
    assert isinstance(admitted, tuple) is (firing and fits and labels.get("namespace") in namespaces)
