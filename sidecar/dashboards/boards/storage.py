"""Files: whether the counts of each sidecar would survive a crash."""

from sidecar.alerting.rules.settings import Settings
from sidecar.dashboards import links, look
from sidecar.dashboards.board import Section
from sidecar.dashboards.panels import About, Link, Placed, lines, states
from sidecar.dashboards.promql import SIDECARS, Query, pick
from sidecar.exposition import sidecar_metrics
from sidecar.exposition.metric import Metric

_BY_REPLICA = "by (namespace, instance)"
_RATE = "[$__rate_interval]"


def section(settings: Settings) -> Section:
    """Return the section."""
    runbooks = links.runbook(settings.links, "ModelSidecarStorageUnhealthy")
    healthy = About(
        title="Counts kept in files",
        description="When the counts of each sidecar with --storage.path would have survived a crash, and when not.",
        steps=look.at_least(1),
        mappings=lambda: look.words(
            {"0": "in memory alone", "1": "kept"}, colours=(look.LEVELS["critical"], look.NEUTRAL)
        ),
        runbooks=runbooks,
    )
    kept = Query(f"min {_BY_REPLICA} ({_series(sidecar_metrics.STORAGE_HEALTHY)})", "{{instance}}")
    return Section(
        title="Files",
        lines=[
            [Placed(panel=states(healthy, kept), width=24, height=7)],
            [*_losses(runbooks), *_checkpoints(runbooks)],
        ],
    )


def _losses(runbooks: list[Link]) -> list[Placed]:
    failures = About(
        title="Attempts to keep them that failed",
        description="Attempts a second to keep counts in files that failed.",
        unit="cps",
        steps=look.limit(1e-9),
        runbooks=runbooks,
    )
    lost = About(
        title="Set aside or reset",
        description="Since the start of each sidecar: files that could not be used, by reason, and counts that a "
        "changed configuration gave another meaning, by part.",
        decimals=0,
        steps=look.limit(1),
        runbooks=runbooks,
    )
    failed = f"sum {_BY_REPLICA} (rate({_series(sidecar_metrics.STORAGE_FAILURES)}{_RATE}))"
    return [
        Placed(panel=lines(failures, Query(failed, "{{instance}}")), width=6),
        Placed(
            panel=lines(
                lost,
                Query(f"sum by (reason) ({_series(sidecar_metrics.STORAGE_SET_ASIDE)})", "set aside: {{reason}}"),
                Query(f"sum by (part) ({_series(sidecar_metrics.STORAGE_RESETS)})", "reset: {{part}}"),
            ),
            width=6,
        ),
    ]


def _checkpoints(runbooks: list[Link]) -> list[Placed]:
    age = About(
        title="Age of the last checkpoint",
        description="How long ago all counts were last written as a whole; what came since is in the journal.",
        unit="s",
        runbooks=runbooks,
    )
    size = About(
        title="Size of the last checkpoint",
        description="Bytes of all counts as last written.",
        unit="bytes",
        runbooks=runbooks,
    )
    since = f"time() - max {_BY_REPLICA} ({_series(sidecar_metrics.STORAGE_CHECKPOINT_TIMESTAMP)})"
    written = f"max {_BY_REPLICA} ({_series(sidecar_metrics.STORAGE_CHECKPOINT_BYTES)})"
    return [
        Placed(panel=lines(age, Query(since, "{{instance}}")), width=6),
        Placed(panel=lines(size, Query(written, "{{instance}}")), width=6),
    ]


def _series(metric: Metric) -> str:
    return pick(metric.name, SIDECARS)
