"""Sidecar health: whether what watches the models can be trusted."""

from sidecar.alerting.rules.settings import Settings
from sidecar.dashboards import links, look
from sidecar.dashboards.board import Board, Section
from sidecar.dashboards.boards import references, storage
from sidecar.dashboards.links import HEALTH
from sidecar.dashboards.panels import About, Placed, lines, number, states
from sidecar.dashboards.promql import MODELS, SIDECARS, Query, pick
from sidecar.dashboards.variables import models, namespaces, several
from sidecar.exposition import sidecar_metrics
from sidecar.exposition.metric import Metric

_BY_REPLICA = "by (namespace, instance)"
_RATE = "[$__rate_interval]"


def board(settings: Settings) -> Board:
    """Return the dashboard."""
    job = several(
        "job",
        "Job",
        pick(sidecar_metrics.CONFIG_RELOAD_SUCCESSFUL.name, 'namespace=~"$namespace"'),
        all_value=settings.health.job,
    )
    return Board(
        uid=HEALTH,
        description="Whether the sidecars are there, take in all events, cost what they should, and compare with "
        "the right reference.",
        variables=[namespaces(), models(), job],
        marks='model_namespace=~"$namespace", model=~"$model"',
        sections=[
            _now(settings),
            _ingest(settings),
            _cost(settings),
            references.section(settings),
            storage.section(settings),
        ],
    )


def _now(settings: Settings) -> Section:
    up = About(
        title="Sidecars that answer",
        description="Sidecars that Prometheus can scrape.",
        runbooks=links.runbook(settings.links, "ModelSidecarDown"),
        steps=look.at_least(1),
    )
    down = About(
        title="Sidecars that do not",
        description="Targets of the scrape jobs that Prometheus gets no answer from: their models are not watched.",
        steps=look.limit(1),
        runbooks=links.runbook(settings.links, "ModelSidecarDown"),
    )
    lost = About(
        title="Events lost",
        description="Events dropped or refused in the time shown.",
        steps=look.limit(1),
        decimals=0,
        runbooks=links.runbook(settings.links, "ModelSidecarEventsDropped", "ModelSidecarEventsRejected"),
    )
    reload = About(
        title="Configurations refused",
        description="Sidecars that go on with an old configuration or reference because the new one was refused.",
        steps=look.limit(1),
        runbooks=links.runbook(settings.links, "ModelSidecarReloadFailed"),
    )
    drops, refusals = (
        f"sum(increase({pick(metric.name, SIDECARS)}[$__range]))"
        for metric in (sidecar_metrics.EVENTS_DROPPED, sidecar_metrics.EVENTS_REJECTED)
    )
    loaded = pick(sidecar_metrics.CONFIG_RELOAD_SUCCESSFUL.name, SIDECARS)
    numbers = [
        (up, f"sum(up{{{SIDECARS}}})"),
        (down, f"count(up{{{SIDECARS}}} == 0) or vector(0)"),
        (lost, f"{drops} + {refusals}"),
        (reload, f"count({loaded} == 0) or vector(0)"),
    ]
    return Section(
        title="Now",
        lines=[[Placed(panel=number(about, Query(e, form="instant")), width=6, height=4) for about, e in numbers]],
    )


def _ingest(settings: Settings) -> Section:
    by_transport = About(
        title="Events by transport",
        description="Events counted a second, by the way they came.",
        unit="eps",
        runbooks=links.runbook(settings.links, "ModelSidecarNoEvents"),
    )
    by_replica = About(
        title="Events by replica",
        description="Events counted a second by each sidecar. One at zero while others are not: its model server "
        "sends nothing.",
        unit="eps",
        runbooks=links.runbook(settings.links, "ModelSidecarNoEvents"),
    )
    return Section(
        title="Events",
        lines=[
            [
                Placed(
                    panel=lines(by_transport, Query(_rate(sidecar_metrics.EVENTS, "by (transport)"), "{{transport}}")),
                    width=12,
                ),
                Placed(
                    panel=lines(by_replica, Query(_rate(sidecar_metrics.EVENTS, _BY_REPLICA), "{{instance}}")), width=12
                ),
            ],
            _not_counted(settings),
        ],
    )


def _not_counted(settings: Settings) -> list[Placed]:
    refused = About(
        title="Events refused, by reason",
        description="What was refused as invalid, a second. The reply to the sender, and the log, name the field "
        "and what is wrong. What is refused here is not in any drift.",
        unit="eps",
        steps=look.limit(1e-9),
        runbooks=links.runbook(settings.links, "ModelSidecarEventsRejected"),
    )
    dropped = About(
        title="Events dropped, by reason",
        description="What was lost because the sidecar could not keep up, a second. A body answered with 503 counts "
        "as one and may have been sent again.",
        unit="eps",
        steps=look.limit(1e-9),
        runbooks=links.runbook(settings.links, "ModelSidecarEventsDropped"),
    )
    unknown = About(
        title="Values of unknown features",
        description="Values a second that the reference of a model has no feature for, and that are ignored.",
        unit="eps",
        steps=look.limit(1e-9),
        runbooks=links.runbook(settings.links, "ModelSidecarUnknownFeatures"),
    )
    by_reason = "by (transport, reason)"
    return [
        Placed(
            panel=lines(refused, Query(_rate(sidecar_metrics.EVENTS_REJECTED, by_reason), "{{transport}}: {{reason}}")),
            width=8,
        ),
        Placed(
            panel=lines(dropped, Query(_rate(sidecar_metrics.EVENTS_DROPPED, by_reason), "{{transport}}: {{reason}}")),
            width=8,
        ),
        Placed(
            panel=lines(
                unknown,
                Query(
                    _rate(sidecar_metrics.UNKNOWN_FEATURES, "by (namespace, model)", MODELS),
                    "{{namespace}} {{model}}",
                ),
            ),
            width=8,
        ),
    ]


def _rate(metric: Metric, by: str, selector: str = SIDECARS) -> str:
    return f"sum {by} (rate({pick(metric.name, selector)}{_RATE}))"


def _cost(settings: Settings) -> Section:
    up = About(
        title="Answers to scrapes",
        description="When each sidecar could be scraped, and when it could not.",
        steps=look.at_least(1),
        mappings=lambda: look.words(
            {"0": "no answer", "1": "answers"}, colours=(look.LEVELS["critical"], look.NEUTRAL)
        ),
        runbooks=links.runbook(settings.links, "ModelSidecarDown"),
    )
    duration = About(
        title="Time a scrape takes",
        description="As Prometheus measures it. Milliseconds are usual; much more is a busy node or a network that "
        "is far.",
        unit="s",
        steps=look.limit(1, 5),
    )
    series = About(
        title="Series in a scrape",
        description="How many series Prometheus takes from each sidecar. It grows with features and bins of the "
        "references, never with traffic.",
        unit="short",
    )
    memory = About(
        title="Memory",
        description="Resident memory of each sidecar. It is flat: a steady rise is a fault.",
        unit="bytes",
    )
    cpu = About(
        title="CPU",
        description="Cores in use by each sidecar. At 1 it can take in no more.",
        unit="none",
        decimals=3,
        steps=look.limit(0.7, 0.9),
    )
    per_replica = [
        (duration, f"max {_BY_REPLICA} (scrape_duration_seconds{{{SIDECARS}}})"),
        (series, f"max {_BY_REPLICA} (scrape_samples_post_metric_relabeling{{{SIDECARS}}})"),
        (memory, f"max {_BY_REPLICA} (process_resident_memory_bytes{{{SIDECARS}}})"),
        (cpu, f"sum {_BY_REPLICA} (rate(process_cpu_seconds_total{{{SIDECARS}}}{_RATE}))"),
    ]
    return Section(
        title="What they cost",
        lines=[
            [
                Placed(
                    panel=states(up, Query(f"max {_BY_REPLICA} (up{{{SIDECARS}}})", "{{instance}}")),
                    width=24,
                    height=7,
                )
            ],
            [Placed(panel=lines(about, Query(expr, "{{instance}}")), width=6) for about, expr in per_replica],
            [_refused()],
        ],
    )


def _refused() -> Placed:
    connections = About(
        title="Connections and requests refused",
        description="Connections a second that were refused, or closed to make room for others, because a listener had "
        "as many as it may keep (--web.max-connections); and requests a second that were refused, whatever they ask "
        "for, by reason.",
        unit="short",
        steps=look.limit(1e-9),
    )
    refusals = pick(sidecar_metrics.CONNECTIONS_REFUSED.name, SIDECARS)
    refused = f"sum by (namespace, instance, listener) (rate({refusals}{_RATE}))"
    requests = pick(sidecar_metrics.REQUESTS_REFUSED.name, SIDECARS)
    refused_requests = f"sum by (namespace, instance, listener, reason) (rate({requests}{_RATE}))"
    panel = lines(
        connections,
        Query(refused, "{{instance}}: {{listener}}"),
        Query(refused_requests, "{{instance}}: {{listener}}, {{reason}}"),
    )
    return Placed(panel=panel, width=24)
