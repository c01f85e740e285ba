"""Rollbacks: what the receiver of alerts did, what it did not do, and why."""

from sidecar.alerting.rules.settings import Settings
from sidecar.dashboards import look
from sidecar.dashboards.board import Board, Section
from sidecar.dashboards.links import ROLLBACKS
from sidecar.dashboards.panels import About, Column, Placed, lines, number, rows, states
from sidecar.dashboards.promql import Query, pick
from sidecar.dashboards.variables import several
from sidecar.exposition.metric import Metric
from sidecar.kubernetes.rollback import metrics
from sidecar.kubernetes.rollback.outcome import Outcome

_RECEIVERS = 'job=~"$receiver"'
_DONE, _DRY_RUN = (f'outcome="{outcome.value}"' for outcome in (Outcome.DONE, Outcome.DRY_RUN))
_OTHERS = f'outcome!~"{Outcome.DONE.value}|{Outcome.DRY_RUN.value}|{Outcome.RESOLVED.value}"'
_RATE = "[$__rate_interval]"
_RANGE = "[$__range]"


def board(settings: Settings) -> Board:
    """Return the dashboard."""
    return Board(
        uid=ROLLBACKS,
        description="What `model-sidecar rollback` did about alerts: rollbacks and scale-downs, what came of every "
        "alert, and whether the receiver itself works. Empty where Prometheus does not scrape it.",
        variables=[several("receiver", "Receiver", metrics.CONFIG_RELOAD_SUCCESSFUL.name, label="job")],
        sections=[_now(), _actions(), _outcomes(), _receiver()],
        since="now-24h",
    )


def _of(metric: Metric, *selectors: str) -> str:
    return pick(metric.name, _RECEIVERS, *selectors)


def _now() -> Section:
    done = About(
        title="Actions carried out", description="Rollbacks and scale-downs carried out in the time shown.", decimals=0
    )
    dry = About(
        title="Would have acted",
        description="What dry runs said that they would do, in the time shown. A repeated alert counts again.",
        decimals=0,
    )
    others = About(
        title="Alerts not acted on",
        description="Alerts in the time shown that something kept from being acted on: below is what. Those that "
        "had ended are not counted.",
        steps=look.limit(1),
        decimals=0,
    )
    policies = About(
        title="Policies",
        description="Policies loaded, by what they may do: active ones act, dry runs only say what they would do.",
        decimals=0,
    )
    numbers = [
        (done, Query(f"sum(increase({_of(metrics.DECISIONS, _DONE)}{_RANGE}))", form="instant")),
        (dry, Query(f"sum(increase({_of(metrics.DECISIONS, _DRY_RUN)}{_RANGE}))", form="instant")),
        (others, Query(f"sum(increase({_of(metrics.DECISIONS, _OTHERS)}{_RANGE}))", form="instant")),
        (policies, Query(f"max by (mode) ({_of(metrics.POLICIES)})", "{{mode}}", form="instant")),
    ]
    return Section(
        title="In the time shown",
        lines=[[Placed(panel=number(about, query), width=6, height=4) for about, query in numbers]],
    )


def _actions() -> Section:
    models = About(
        title="Last action on each model",
        description="When the receivers last acted on the workload of a model (done), or said that they would "
        "(dry_run), since they started. The same moments are marked on the other dashboards.",
    )
    cooldowns = About(
        title="Cooldowns",
        description="How long a policy leaves a workload alone after an action, and how much of that is left after "
        "its last one. Until then alerts come to the outcome `cooldown`. A receiver that was started again reads "
        "the cooldown of each workload from its annotations; here the policy then looks free.",
    )
    keys = "policy, action"
    length = f"max by ({keys}) ({_of(metrics.COOLDOWN)})"
    since = f"(time() - max by ({keys}) ({_of(metrics.LAST_ACTION)}))"
    what = ", ".join(metrics.MODEL_LAST_ACTION.labels)
    return Section(
        title="Actions",
        lines=[
            [
                Placed(
                    width=14,
                    panel=rows(
                        models,
                        [
                            Column(of="model_namespace", title="Namespace"),
                            Column(of="model", title="Model"),
                            Column(of="action", title="Action"),
                            Column(of="outcome", title="Outcome"),
                            Column(of="#A", title="Ago", unit="s", decimals=1),
                        ],
                        Query(f"time() - max by ({what}) ({_of(metrics.MODEL_LAST_ACTION)})", form="table"),
                        sort="Ago",
                        descending=False,
                    ),
                ),
                Placed(
                    width=10,
                    panel=rows(
                        cooldowns,
                        [
                            Column(of="policy", title="Policy"),
                            Column(of="action", title="Action"),
                            Column(of="#A", title="Cooldown", unit="s"),
                            Column(of="#B", title="Left", unit="s"),
                            Column(of="#C", title="Last action, ago", unit="s", decimals=1),
                        ],
                        Query(length, form="table"),
                        Query(f"clamp_min({length} - {since}, 0)\nor\n0 * {length}", form="table"),
                        Query(since, form="table"),
                        sort="Policy",
                        descending=False,
                    ),
                ),
            ]
        ],
    )


def _outcomes() -> Section:
    over_time = About(
        title="Alerts by outcome",
        description="What came of alerts, when. Every outcome is explained in docs/rollback.md.",
        decimals=1,
    )
    total = About(
        title="Outcomes in the time shown",
        description="How many alerts came to which outcome. `cooldown`, `daily_limit` and `circuit_open` are "
        "brakes; `no_workload`, `ambiguous_workload` and `not_enabled` are a matter of labels; `unavailable`, "
        "`conflict` and `failed` are tried again.",
        no_value="none",
    )
    by = "by (action, outcome)"
    return Section(
        title="What came of alerts",
        lines=[
            [
                Placed(
                    width=14,
                    height=9,
                    panel=lines(
                        over_time,
                        Query(f"sum {by} (increase({_of(metrics.DECISIONS)}{_RATE})) > 0", "{{action}}: {{outcome}}"),
                        bars=True,
                        stacked=True,
                    ),
                ),
                Placed(
                    width=10,
                    height=9,
                    panel=rows(
                        total,
                        [
                            Column(of="action", title="Action"),
                            Column(of="outcome", title="Outcome"),
                            Column(of="#A", title="Alerts", unit="short", decimals=0),
                        ],
                        Query(f"sum {by} (increase({_of(metrics.DECISIONS)}{_RANGE})) > 0", form="table"),
                        sort="Alerts",
                    ),
                ),
            ]
        ],
    )


def _receiver() -> Section:
    notifications = About(
        title="Notifications by answer",
        description="Notifications from Alertmanager a second, by HTTP status. 503 has Alertmanager send again; 400 "
        "and 413 are notifications that cannot be read.",
        unit="reqps",
    )
    faults = About(
        title="What went wrong",
        description="Alerts that could not be used, alerts that Alertmanager left out, and Kubernetes Events that "
        "could not be written, a second.",
        unit="cps",
        steps=look.limit(1e-9),
    )
    requests = About(
        title="Requests to Kubernetes",
        description="Requests to the Kubernetes API a second, by what came of them.",
        unit="reqps",
    )
    wrong = (
        (metrics.MALFORMED_ALERTS, "malformed alerts"),
        (metrics.TRUNCATED_ALERTS, "alerts left out"),
        (metrics.EVENT_FAILURES, "Events not written"),
    )

    def rate(metric: Metric, by: str = "") -> str:
        return f"sum{by} (rate({_of(metric)}{_RATE}))"

    return Section(
        title="The receiver",
        lines=[
            [
                Placed(
                    width=8,
                    panel=lines(notifications, Query(rate(metrics.NOTIFICATIONS, " by (code)"), "{{code}}")),
                ),
                Placed(
                    width=8,
                    panel=lines(faults, *(Query(rate(metric), legend) for metric, legend in wrong)),
                ),
                Placed(
                    width=8,
                    panel=lines(
                        requests,
                        Query(
                            rate(metrics.KUBERNETES_REQUESTS, " by (verb, resource, result)"),
                            "{{verb}} {{resource}}: {{result}}",
                        ),
                    ),
                ),
            ],
            [_policies_accepted()],
        ],
    )


def _policies_accepted() -> Placed:
    about = About(
        title="Policies accepted",
        description="Whether each receiver's last load of its policies succeeded. If not, it goes on with the ones "
        "before.",
        steps=look.at_least(1),
        mappings=lambda: look.words(look.YES_NO, colours=(look.LEVELS["critical"], look.NEUTRAL)),
    )
    loaded = Query(f"max by (instance) ({_of(metrics.CONFIG_RELOAD_SUCCESSFUL)})", "{{instance}}")
    return Placed(width=24, height=6, panel=states(about, loaded))
