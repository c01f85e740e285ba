"""Links: between the dashboards with their variables kept, from values to Feature detail, and to the runbooks."""

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard

from sidecar.alerting.rules.settings import Links
from sidecar.dashboards.panels import Link

DRIFT, FEATURE, SERVICE, HEALTH, ROLLBACKS = (
    "model-drift",
    "model-feature",
    "model-service",
    "model-sidecar",
    "model-rollback",
)
"""Uids. Rules and bookmarks link to them: they are never changed."""

TITLES = {
    DRIFT: "Drift overview",
    FEATURE: "Feature detail",
    SERVICE: "Latency and errors",
    HEALTH: "Sidecar health",
    ROLLBACKS: "Rollbacks",
}

DRIFT_ALERTS = ("Moderate", "Significant", "Critical", "Rollback")
"""How the names of the alerts on drift begin."""

_KEPT = "${__url_time_range}&${datasource:queryparam}"


def between(uid: str, links: Links, *, namespaces: bool) -> list[build.DashboardLink]:
    """Return the links at the top of a dashboard: to the others, and to the folder of runbooks.

    All variables are kept, but that Feature detail shows one model and one feature: from elsewhere it begins with the
    first of the namespaces, where there are any to choose on this dashboard.
    """
    first = f"/d/{FEATURE}?${{datasource:queryparam}}" + ("&${namespace:queryparam}" if namespaces else "")
    found = []
    for other, title in TITLES.items():
        if other == uid:
            continue
        keep = other != FEATURE
        found.append(
            _link(title, f"/d/{other}" if keep else first).include_vars(keep).keep_time(True).tooltip(f"Go to {title}")
        )
    folder = links.runbook.partition("{alert}")[0]
    return [*found, _link("Runbooks", folder).target_blank(True).icon("doc").tooltip("What to do when an alert fires")]


def _link(title: str, url: str) -> build.DashboardLink:
    return build.DashboardLink(title).type(dashboard.DashboardLinkType.LINK).url(url).icon("external link")


def runbook(links: Links, *alerts: str) -> list[Link]:
    """Return links to the runbooks of alerts."""
    return [(f"Runbook: {alert}", links.runbook.replace("{alert}", alert)) for alert in alerts]


def runbook_of_row(links: Links, column: str) -> Link:
    """Return a link to the runbook of the alert that a row of a table names."""
    return "Open its runbook", links.runbook.replace("{alert}", f"${{__data.fields.{column}:percentencode}}")


def feature_of_row() -> Link:
    """Return a link to Feature detail from a table with the columns Namespace, Model, Role and Feature."""
    return _feature({name: f"__data.fields.{name.capitalize()}" for name in _IDENTITY})


def feature_of_series() -> Link:
    """Return a link to Feature detail from a series with the labels of a feature."""
    return _feature({name: f"__field.labels.{name}" for name in _IDENTITY})


_IDENTITY = ("namespace", "model", "role", "feature")


def _feature(values: dict[str, str]) -> Link:
    chosen = "&".join(f"var-{name}=${{{value}:percentencode}}" for name, value in values.items())
    return "Look at this feature", f"/d/{FEATURE}?{_KEPT}&${{window:queryparam}}&{chosen}"


def model_of_row(uid: str) -> Link:
    """Return a link to a dashboard from a table with the columns Namespace and Model."""
    chosen = "&".join(f"var-{n}=${{__data.fields.{n.capitalize()}:percentencode}}" for n in ("namespace", "model"))
    return f"{TITLES[uid]} of this model", f"/d/{uid}?{_KEPT}&{chosen}"
