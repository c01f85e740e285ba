"""Decide: alert, policy and what is known of the workload to an action, or none with its reason.

Nothing here asks anybody or looks at a clock. `admit` decides what needs no workload, `decide` the rest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sidecar.kubernetes.rollback import history as histories
from sidecar.kubernetes.rollback.cluster.workload import Workload, annotations, manager, metadata
from sidecar.kubernetes.rollback.history import History, Record, UnreadableHistory
from sidecar.kubernetes.rollback.outcome import Outcome
from sidecar.kubernetes.rollback.payload import Alert
from sidecar.kubernetes.rollback.plan import Impossible, Plan
from sidecar.kubernetes.rollback.policy import Policy, Rollback

Planner = Callable[[Policy, Workload, History, Record | None], Plan | Impossible]
"""Plan an action with the executor that a policy and a workload call for."""

_DAY = timedelta(days=1)
_CLOCK_SKEW = timedelta(minutes=5)
_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Do nothing, and why."""

    outcome: Outcome
    reason: str
    workload: Workload | None = None
    plan: Plan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Carry out a plan; `record` is how it enters the `history` once it is done."""

    alert: Alert
    workload: Workload
    plan: Plan
    record: Record
    history: History


@dataclass(frozen=True, slots=True)
class Failures:
    """Attempts on a workload that failed in a row, and when the last did."""

    count: int = 0
    last: datetime | None = None


def admit(alert: Alert, config: Rollback, *, now: datetime) -> tuple[Policy, str] | Skip:
    """Return the policy for an alert and the namespace to act in, or why nothing is to be done."""
    policy = config.policy_for(alert)
    if policy is None:
        return Skip(outcome=Outcome.NO_POLICY, reason="no policy matches its labels")
    if not alert.firing:
        return Skip(outcome=Outcome.RESOLVED, reason="the alert no longer fires")
    if alert.starts_at > now + _CLOCK_SKEW:
        reason = f"it begins at {alert.starts_at:%Y-%m-%dT%H:%M:%SZ}, which is yet to come: compare the clocks"
        return Skip(outcome=Outcome.BEGINS_LATER, reason=reason)
    namespace = alert.labels.get("namespace") or _listed_namespace(alert, config)
    if namespace is None:
        reason = "the alert has no label `namespace`, and its model is not listed once"
        return Skip(outcome=Outcome.NAMESPACE_NOT_ALLOWED, reason=reason)
    if namespace not in policy.namespaces:
        reason = f"the policy does not act in the namespace {namespace!r}"
        return Skip(outcome=Outcome.NAMESPACE_NOT_ALLOWED, reason=reason)
    local = now.astimezone(ZoneInfo(config.timezone))
    if any(quiet.hold(local) for quiet in policy.quiet_hours):
        return Skip(outcome=Outcome.QUIET_HOURS, reason=f"{local:%a %H:%M} {config.timezone} is within quiet hours")
    return policy, namespace


def _listed_namespace(alert: Alert, config: Rollback) -> str | None:
    named = {listed.namespace for listed in config.workloads if listed.model == alert.labels.get("model")}
    return named.pop() if len(named) == 1 else None


def decide(
    alert: Alert,
    policy: Policy,
    found: Sequence[Workload],
    *,
    config: Rollback,
    planner: Planner,
    failures: Failures,
    instance: str,
    now: datetime,
) -> Act | Skip:
    """Decide on an alert that was admitted; `instance` names this receiver in the history."""
    workload = _the_one(alert, found)
    if isinstance(workload, Skip):
        return workload

    def skip(outcome: Outcome, reason: str, plan: Plan | None = None) -> Skip:
        return Skip(outcome=outcome, reason=reason, workload=workload, plan=plan)

    if not workload.enabled:
        return skip(Outcome.NOT_ENABLED, "its owner has not set the label model-sidecar.io/rollback=enabled")
    if workload.object is None:
        return skip(Outcome.DRY_RUN, f"would {_verb(policy)} {workload}; the details are only known from the cluster")
    try:
        history = histories.read(annotations(o) for o in (workload.object, *workload.replica_sets))
    except UnreadableHistory as error:
        return skip(Outcome.UNREADABLE_HISTORY, str(error))

    key = alert.key(policy.action)
    known = history.find(key)
    claimed = known if known and known.state == "claimed" else None
    if known and known.state == "done":
        return skip(Outcome.DUPLICATE, f"done at {known.at:%Y-%m-%dT%H:%M:%SZ} by {known.by}")
    if claimed and claimed.until and now < claimed.until:
        return skip(Outcome.IN_PROGRESS, f"{claimed.by} is at it until {claimed.until:%H:%M:%SZ}")
    guarded = _guard(policy, workload, history, claimed, failures, config, now)
    if guarded is not None:
        return skip(*guarded)

    plan = planner(policy, workload, history, claimed)
    if isinstance(plan, Impossible):
        return skip(plan.outcome, plan.reason)
    if policy.action == "rollback" and claimed is None:
        unwise = _unwise(alert, policy, plan, history)
        if unwise is not None:
            return skip(*unwise, plan=plan)
    if config.is_dry_run(policy):
        return skip(Outcome.DRY_RUN, f"would {plan.summary}", plan=plan)
    attempts = known.attempts + 1 if known else 1
    record = _record(alert, policy, plan, by=instance, at=now, attempts=attempts)
    return Act(alert=alert, workload=workload, plan=plan, record=record, history=history)


def _record(alert: Alert, policy: Policy, plan: Plan, *, by: str, at: datetime, attempts: int) -> Record:
    return Record(
        key=alert.key(policy.action),
        action=policy.action,
        policy=policy.name,
        alert=alert.name[:_NAME_LENGTH],
        at=at,
        state="done",
        from_=plan.from_,
        to=plan.to,
        by=by,
        attempts=attempts,
    )


def _verb(policy: Policy) -> str:
    return "roll back" if policy.action == "rollback" else "scale down"


def _the_one(alert: Alert, found: Sequence[Workload]) -> Workload | Skip:
    model = alert.labels.get("model", "")
    living = [w for w in found if w.object is None or "deletionTimestamp" not in metadata(w.object)]
    if not living:
        return Skip(outcome=Outcome.NO_WORKLOAD, reason=f"nothing in its namespace serves the model {model!r}")
    if len(living) > 1:
        names = ", ".join(sorted(map(str, living)))
        return Skip(outcome=Outcome.AMBIGUOUS_WORKLOAD, reason=f"several serve the model {model!r}: {names}")
    return living[0]


def _guard(
    policy: Policy,
    workload: Workload,
    history: History,
    claimed: Record | None,
    failures: Failures,
    config: Rollback,
    now: datetime,
) -> tuple[Outcome, str] | None:
    """Return what forbids to act now. What was claimed and left half-done is not held back by its own cooldown."""
    breaker = config.circuit_breaker
    for count, last in (history.failures(), (failures.count, failures.last)):
        if count >= breaker.failures and last and now < last + timedelta(seconds=breaker.open_for.seconds):
            return Outcome.CIRCUIT_OPEN, f"failed {count} times, last at {last:%Y-%m-%dT%H:%M:%SZ}; left alone for now"
    who = manager(workload.object or {})
    if who is not None and policy.managed == "notify":
        return Outcome.MANAGED, f"{who} would put back what is changed here; roll back there"
    if claimed is not None:
        return None
    acted = history.acted()
    if acted:
        last_record = acted[-1]
        over = last_record.at + timedelta(seconds=policy.cooldown.seconds)
        if now < over:
            told = f"{last_record.action} at {last_record.at:%H:%M:%SZ}, cooldown until {over:%Y-%m-%dT%H:%M:%SZ}"
            return Outcome.COOLDOWN, told
    today = sum(now - record.at < _DAY for record in acted)
    if today >= policy.max_per_day:
        return Outcome.DAILY_LIMIT, f"{today} actions in 24 hours, and the policy allows {policy.max_per_day}"
    return None


def _unwise(alert: Alert, policy: Policy, plan: Plan, history: History) -> tuple[Outcome, str] | None:
    """Return why a rollback that could be done would do harm."""
    if plan.deployed is not None and plan.deployed > alert.starts_at:
        told = (
            f"it was deployed at {plan.deployed:%Y-%m-%dT%H:%M:%SZ}, after the alert began: the alert is about another"
        )
        return Outcome.NEWER_THAN_ALERT, told
    within_seconds = policy.rollout_seconds()
    if plan.rolled_out is not None and within_seconds is not None:
        age = alert.starts_at - plan.rolled_out
        if age > timedelta(seconds=within_seconds):
            told = (
                f"it was rolled out at {plan.rolled_out:%Y-%m-%dT%H:%M:%SZ}, more than {policy.only_after_rollout} "
                "before the alert began: what changed is not the model"
            )
            return Outcome.NO_RECENT_ROLLOUT, told
    last = history.last_rollback()
    if last is not None and last.to and last.to == plan.from_:
        return (
            Outcome.UNDO_OF_UNDO,
            f"it is what was rolled back to at {last.at:%Y-%m-%dT%H:%M:%SZ}, and that did not help",
        )
    return None
