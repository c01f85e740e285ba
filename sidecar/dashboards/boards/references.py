"""References and configuration: what models are compared with, and whether it is what it should be."""

from sidecar.alerting.rules import names
from sidecar.alerting.rules.settings import Settings
from sidecar.base.duration import milliseconds
from sidecar.dashboards import links, look
from sidecar.dashboards.board import Section
from sidecar.dashboards.panels import About, Column, Placed, lines, rows
from sidecar.dashboards.promql import MODELS, SIDECARS, Query, pick
from sidecar.exposition import model_metrics, sidecar_metrics

_KEYS = "namespace, model, reference"
_REPLICA = "namespace, instance"
_INFO = pick(model_metrics.REFERENCE_INFO.name, MODELS)
_CREATED = pick(model_metrics.REFERENCE_CREATED.name, MODELS)


def section(settings: Settings) -> Section:
    """Return the section of Sidecar health."""
    return Section(
        title="References and configuration",
        lines=[
            [_in_use(settings), _replicas_without(settings)],
            [_features_without_drift(settings), _age(settings), _last_load(settings)],
        ],
    )


def _in_use(settings: Settings) -> Placed:
    about = About(
        title="References in use",
        description="What each model is compared with: its fingerprint, where it came from, how old it is, how many "
        "rows and replicas are behind it; and how many of its rows are for the hour of now, which are fewer where it "
        "is one by season. Two lines of one model: replicas disagree, as while a new reference rolls out.",
        runbooks=links.runbook(settings.links, "ModelSidecarReferenceMismatch", "ModelSidecarReferenceStale"),
    )
    size = pick(model_metrics.REFERENCE_SAMPLES.name, MODELS)
    of_season = pick(model_metrics.REFERENCE_SEASON_SAMPLES.name, MODELS)
    labelled = f"group_left (source, model_version) max by ({_KEYS}, source, model_version) ({_INFO})"
    of_now = f"(max by ({_KEYS}) ({of_season})\n  or max by ({_KEYS}) ({size})\n)"
    columns = [
        Column(of="namespace", title="Namespace"),
        Column(of="model", title="Model"),
        Column(of="reference", title="Reference"),
        Column(of="source", title="Source"),
        Column(of="model_version", title="Version"),
        Column(of="#A", title="Age", unit="s", decimals=1),
        Column(of="#B", title="Rows", unit="short"),
        Column(of="#C", title="Rows for this hour", unit="short"),
        Column(of="#D", title="Replicas", unit="short"),
    ]
    panel = rows(
        about,
        columns,
        Query(f"(time() - max by ({_KEYS}) ({_CREATED})) * on ({_KEYS}) {labelled}", form="table"),
        Query(f"max by ({_KEYS}) ({size}) * on ({_KEYS}) {labelled}", form="table"),
        Query(f"{of_now} * on ({_KEYS}) {labelled}", form="table"),
        Query(f"count by ({_KEYS}, source, model_version) ({_INFO})", form="table"),
        sort="Model",
        descending=False,
    )
    return Placed(width=16, panel=panel)


def _replicas_without(settings: Settings) -> Placed:
    about = About(
        title="Replicas without a reference",
        description="Replicas that count predictions of a model and have nothing to compare them with.",
        steps=look.limit(1),
        runbooks=links.runbook(settings.links, "ModelSidecarReferenceMissing"),
    )
    predictions = pick(model_metrics.PREDICTIONS.name, MODELS)
    without = (
        f"sum by (namespace, model) (({predictions} >= bool 0)\n"
        f"  unless on (namespace, job, instance, model) {_INFO})\n"
        f"or 0 * count by (namespace, model) ({predictions})"
    )
    return Placed(width=8, panel=lines(about, Query(without, "{{namespace}} {{model}}"), show_limits=True))


def _features_without_drift(settings: Settings) -> Placed:
    about = About(
        title="Features without drift",
        description="Features with enough events and a reference, and yet no drift: no drift alert can fire for "
        "them. Look for bin series dropped on the way to Prometheus, for labels of targets that hide those of the "
        "sidecar, and for rules that fail.",
        steps=look.limit(1),
        runbooks=links.runbook(settings.links, "ModelSidecarDriftMissing", "ModelSidecarLabelsHidden"),
    )
    window = settings.drift.alert_window
    events = pick(names.observations(window), MODELS)
    undone = (
        f"count by (namespace, model) (({events} >= {settings.drift.min_samples}) "
        f"and on ({_KEYS}) {pick(names.REFERENCE_SAMPLES, MODELS)}\n"
        f"  unless on ({names.KEY}) {pick(names.psi(window), MODELS)})\n"
        f"or 0 * count by (namespace, model) ({events})"
    )
    return Placed(width=8, panel=lines(about, Query(undone, "{{namespace}} {{model}}"), show_limits=True))


def _age(settings: Settings) -> Placed:
    about = About(
        title="Age of the reference",
        description=f"Time since each reference was built. Dashed: {settings.health.reference_max_age}, where the "
        "alert begins.",
        unit="s",
        steps=look.limit(milliseconds(settings.health.reference_max_age) / 1000),
        runbooks=links.runbook(settings.links, "ModelSidecarReferenceStale"),
    )
    age = Query(f"time() - max by ({_KEYS}) ({_CREATED})", "{{namespace}} {{model}} {{reference}}")
    return Placed(width=8, panel=lines(about, age, show_limits=True))


def _last_load(settings: Settings) -> Placed:
    about = About(
        title="Last load of the configuration",
        description="For each sidecar: its version, whether its last load of configuration and references "
        "succeeded, and how long ago one did.",
        runbooks=links.runbook(settings.links, "ModelSidecarReloadFailed"),
    )
    version = f"max by ({_REPLICA}, version) ({pick(sidecar_metrics.BUILD_INFO.name, SIDECARS)})"
    on_version = f"* on ({_REPLICA}) group_right () {version}"
    success = pick(sidecar_metrics.CONFIG_RELOAD_SUCCESSFUL.name, SIDECARS)
    since = pick(sidecar_metrics.CONFIG_RELOAD_TIMESTAMP.name, SIDECARS)
    columns = [
        Column(of="namespace", title="Namespace"),
        Column(of="instance", title="Replica"),
        Column(of="version", title="Version"),
        Column(
            of="#A",
            title="Loaded",
            steps=look.at_least(1),
            mappings=lambda: look.words(look.YES_NO, colours=(look.LEVELS["critical"], look.NEUTRAL)),
        ),
        Column(of="#B", title="Since", unit="s", decimals=1),
    ]
    panel = rows(
        about,
        columns,
        Query(f"min by ({_REPLICA}) ({success}) {on_version}", form="table"),
        Query(f"(time() - max by ({_REPLICA}) ({since})) {on_version}", form="table"),
        sort="Replica",
        descending=False,
    )
    return Placed(width=8, panel=panel)
