"""References and configuration: what models are compared with, and whether it is what it should be."""

from dashboards import links, look
from dashboards.board import Section
from dashboards.panels import About, Column, Placed, lines, rows
from dashboards.promql import MODELS, SIDECARS, Query, pick
from sidecar.alerting.rules import names
from sidecar.alerting.rules.settings import Settings
from sidecar.base.duration import milliseconds
from sidecar.exposition import model_metrics, sidecar_metrics


def section(settings: Settings) -> Section:
    """Return the section of Sidecar health."""
    in_use = About(
        title="References in use",
        description="What each model is compared with: its fingerprint, where it came from, how old it is, how many "
        "rows and replicas are behind it; and how many of its rows are for the hour of now, which are fewer where it "
        "is one by season. Two lines of one model: replicas disagree, as while a new reference rolls out.",
        runbooks=links.runbook(settings.links, "ModelSidecarReferenceMismatch", "ModelSidecarReferenceStale"),
    )
    age = About(
        title="Age of the reference",
        description=f"Time since each reference was built. Dashed: {settings.health.reference_max_age}, where the "
        "alert begins.",
        unit="s",
        steps=look.limit(milliseconds(settings.health.reference_max_age) / 1000),
        runbooks=links.runbook(settings.links, "ModelSidecarReferenceStale"),
    )
    missing = About(
        title="Replicas without a reference",
        description="Replicas that count predictions of a model and have nothing to compare them with.",
        steps=look.limit(1),
        runbooks=links.runbook(settings.links, "ModelSidecarReferenceMissing"),
    )
    silent = About(
        title="Features without drift",
        description="Features with enough events and a reference, and yet no drift: no drift alert can fire for "
        "them. Look for bin series dropped on the way to Prometheus, for labels of targets that hide those of the "
        "sidecar, and for rules that fail.",
        steps=look.limit(1),
        runbooks=links.runbook(settings.links, "ModelSidecarDriftMissing", "ModelSidecarLabelsHidden"),
    )
    loaded = About(
        title="Last load of the configuration",
        description="For each sidecar: its version, whether its last load of configuration and references "
        "succeeded, and how long ago one did.",
        runbooks=links.runbook(settings.links, "ModelSidecarReloadFailed"),
    )
    info, created, size = (
        pick(m.name, MODELS)
        for m in (model_metrics.REFERENCE_INFO, model_metrics.REFERENCE_CREATED, model_metrics.REFERENCE_SAMPLES)
    )
    of_season = pick(model_metrics.REFERENCE_SEASON_SAMPLES.name, MODELS)
    keys = "namespace, model, reference"
    labelled = f"group_left (source, model_version) max by ({keys}, source, model_version) ({info})"
    of_now = f"(max by ({keys}) ({of_season})\n  or max by ({keys}) ({size})\n)"
    without = (
        f"sum by (namespace, model) (({pick(model_metrics.PREDICTIONS.name, MODELS)} >= bool 0)\n"
        f"  unless on (namespace, job, instance, model) {info})\n"
        f"or 0 * count by (namespace, model) ({pick(model_metrics.PREDICTIONS.name, MODELS)})"
    )
    window = settings.drift.alert_window
    enough = f"{pick(names.observations(window), MODELS)} >= {settings.drift.min_samples}"
    undone = (
        f"count by (namespace, model) (({enough}) and on ({keys}) {pick(names.REFERENCE_SAMPLES, MODELS)}\n"
        f"  unless on ({names.KEY}) {pick(names.psi(window), MODELS)})\n"
        f"or 0 * count by (namespace, model) ({pick(names.observations(window), MODELS)})"
    )
    replica_keys = "namespace, instance"
    version = f"max by ({replica_keys}, version) ({pick(sidecar_metrics.BUILD_INFO.name, SIDECARS)})"
    on_version = f"* on ({replica_keys}) group_right () {version}"
    success, since = (
        pick(m.name, SIDECARS)
        for m in (sidecar_metrics.CONFIG_RELOAD_SUCCESSFUL, sidecar_metrics.CONFIG_RELOAD_TIMESTAMP)
    )
    return Section(
        title="References and configuration",
        lines=[
            [
                Placed(
                    width=16,
                    panel=rows(
                        in_use,
                        [
                            Column(of="namespace", title="Namespace"),
                            Column(of="model", title="Model"),
                            Column(of="reference", title="Reference"),
                            Column(of="source", title="Source"),
                            Column(of="model_version", title="Version"),
                            Column(of="#A", title="Age", unit="s", decimals=1),
                            Column(of="#B", title="Rows", unit="short"),
                            Column(of="#C", title="Rows for this hour", unit="short"),
                            Column(of="#D", title="Replicas", unit="short"),
                        ],
                        Query(f"(time() - max by ({keys}) ({created})) * on ({keys}) {labelled}", form="table"),
                        Query(f"max by ({keys}) ({size}) * on ({keys}) {labelled}", form="table"),
                        Query(f"{of_now} * on ({keys}) {labelled}", form="table"),
                        Query(f"count by ({keys}, source, model_version) ({info})", form="table"),
                        sort="Model",
                        descending=False,
                    ),
                ),
                Placed(
                    width=8,
                    panel=lines(missing, Query(without, "{{namespace}} {{model}}"), show_limits=True),
                ),
            ],
            [
                Placed(width=8, panel=lines(silent, Query(undone, "{{namespace}} {{model}}"), show_limits=True)),
                Placed(
                    width=8,
                    panel=lines(
                        age,
                        Query(f"time() - max by ({keys}) ({created})", "{{namespace}} {{model}} {{reference}}"),
                        show_limits=True,
                    ),
                ),
                Placed(
                    width=8,
                    panel=rows(
                        loaded,
                        [
                            Column(of="namespace", title="Namespace"),
                            Column(of="instance", title="Replica"),
                            Column(of="version", title="Version"),
                            Column(
                                of="#A",
                                title="Loaded",
                                steps=look.at_least(1),
                                mappings=lambda: look.words(
                                    look.YES_NO, colours=(look.LEVELS["critical"], look.NEUTRAL)
                                ),
                            ),
                            Column(of="#B", title="Since", unit="s", decimals=1),
                        ],
                        Query(f"min by ({replica_keys}) ({success}) {on_version}", form="table"),
                        Query(f"(time() - max by ({replica_keys}) ({since})) {on_version}", form="table"),
                        sort="Replica",
                        descending=False,
                    ),
                ),
            ],
        ],
    )
