"""What every alert has in common: labels, links and how its text begins."""

from sidecar.alerting.rules.policy import Severity
from sidecar.alerting.rules.rule import Alert
from sidecar.alerting.rules.settings import Settings

_OF_FEATURE = ("namespace", "model", "feature")
_OF_MODEL = ("namespace", "model")


def alert(
    name: str,
    settings: Settings,
    *,
    expr: str,
    summary: str,
    description: str,
    dashboard: str,
    variables: tuple[str, ...] = _OF_MODEL,
    labels: dict[str, str] | None = None,
    severity: Severity | None = None,
    for_: str | None = None,
) -> list[Alert]:
    """Build an alert by its policy; return nothing where the site has switched it off."""
    policy = settings.policy(name)
    if not policy.enabled:
        return []
    return [
        Alert(
            alert=name,
            expr=expr,
            for_=policy.for_ or for_ or "0s",
            labels={
                "severity": policy.severity or severity or "warning",
                "action": policy.action,
                **(labels or {}),
            },
            annotations={
                "summary": summary,
                "description": description,
                "runbook_url": settings.links.runbook.replace("{alert}", name),
                "dashboard_url": _with_variables(dashboard, variables),
            },
        )
    ]


def feature_alert(name: str, settings: Settings, *, expr: str, summary: str, description: str) -> list[Alert]:
    """Build an alert about one feature of a model."""
    return alert(
        name,
        settings,
        expr=expr,
        summary=summary,
        description=description,
        dashboard=settings.links.drift_dashboard,
        variables=_OF_FEATURE,
    )


def _with_variables(url: str, variables: tuple[str, ...]) -> str:
    query = "&".join(f"var-{name}={{{{ $labels.{name} | urlquery }}}}" for name in variables)
    return f"{url}{'&' if '?' in url else '?'}{query}"
