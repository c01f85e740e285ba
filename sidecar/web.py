"""The read-only endpoints, and the page that lists them."""

from collections.abc import Callable
from html import escape

import msgspec
from aiohttp import web

from sidecar import __version__
from sidecar.alertmanager import AlertmanagerError, held_alerts
from sidecar.alerts import alerts_report
from sidecar.collector import Collector
from sidecar.monitor import Monitor
from sidecar.report import NotThere, Report, drift_report, latency_report
from sidecar.scrape import exposition

PATHS = ("/", "/drift", "/latency", "/alerts", "/health", "/-/healthy", "/-/ready", "/-/reload", "/monitor")
"""Paths that are taken, whatever the one of the metrics."""

PROBES = frozenset({"/-/healthy", "/-/ready"})
"""Paths that are served without authentication."""

Reload = Callable[[], str | None]
"""Load configuration and references again; returns what is wrong with them, or None."""

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>model-sidecar</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }}
:root {{ color-scheme: light dark }} dt {{ margin-top: .5rem; font-family: ui-monospace, monospace }}</style>
<h1>model-sidecar {version}</h1>
<p>Watching: {models}.</p>
<dl>
<dt><a href="drift">/drift</a><dd>how far each feature has moved; <code>?feature=NAME</code> shows its bins
<dt><a href="latency">/latency</a><dd>latency and errors, and whether the objectives are met
<dt><a href="alerts">/alerts</a><dd>the conditions of alerts that hold now
<dt><a href="{metrics}">/{metrics}</a><dd>everything for Prometheus
<dt><a href="health">/health</a><dd>whether the sidecar is well
</dl>
"""


class Web:
    """Answer the read-only endpoints."""

    def __init__(
        self,
        monitor: Monitor,
        collector: Collector,
        clock: Callable[[], float],
        *,
        telemetry_path: str,
        alertmanager_url: str | None = None,
    ) -> None:
        self._monitor = monitor
        self._collector = collector
        self._clock = clock
        self._telemetry_path = telemetry_path
        self._alertmanager_url = alertmanager_url
        self._started = clock()
        self.ready = True

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, all for GET."""
        return [
            web.get("/", self.page),
            web.get("/drift", self.drift),
            web.get("/latency", self.latency),
            web.get("/alerts", self.alerts),
            web.get("/health", self.health),
            web.get("/-/healthy", self.healthy),
            web.get("/-/ready", self.readiness),
            web.get(self._telemetry_path, self.metrics),
        ]

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer a scrape."""
        text, content_type = self._collector.expose(request.headers.get("Accept", ""), now=self._clock())
        return await exposition(request, text, content_type)

    async def drift(self, request: web.Request) -> web.Response:
        """Answer with the drift of every feature, or of one with its bins."""
        query = request.query
        return _answer(
            lambda: drift_report(
                self._monitor,
                now=self._clock(),
                model=query.get("model"),
                feature=query.get("feature"),
                window=query.get("window"),
            )
        )

    async def latency(self, request: web.Request) -> web.Response:
        """Answer with latency and errors."""
        return _answer(lambda: latency_report(self._monitor, now=self._clock()))

    async def alerts(self, request: web.Request) -> web.Response:
        """Answer with the conditions of alerts that hold now, and with what Alertmanager holds if its URL is known."""
        report = alerts_report(self._monitor, now=self._clock())
        if self._alertmanager_url is not None:
            try:
                held = await held_alerts(self._alertmanager_url, self._monitor.models)
                report["alertmanager"] = {"alerts": held, "error": None}
            except AlertmanagerError as error:
                report["alertmanager"] = {"alerts": None, "error": str(error)}
        return _answer(lambda: report)

    async def health(self, request: web.Request) -> web.Response:
        """Answer that the process is alive."""
        models = {name: "learning" if m.learner else "monitoring" for name, m in self._monitor.models.items()}
        uptime = round(self._clock() - self._started, 3)
        return _answer(lambda: {"status": "ok", "version": __version__, "uptime_seconds": uptime, "models": models})

    async def healthy(self, request: web.Request) -> web.Response:
        """Answer that the process is alive, for probes."""
        return web.Response(text="model-sidecar is healthy.\n")

    async def readiness(self, request: web.Request) -> web.Response:
        """Answer whether configuration and references are loaded and the process is not stopping."""
        if not self.ready:
            return web.Response(status=503, text="model-sidecar is stopping.\n")
        learning = [
            f"learning {name}: {m.learner.rows} of {m.learner.wanted_rows} events\n"
            for name, m in self._monitor.models.items()
            if m.learner
        ]
        return web.Response(text="model-sidecar is ready.\n" + "".join(learning))

    async def page(self, request: web.Request) -> web.Response:
        """Answer with the page that lists the endpoints."""
        text = _PAGE.format(
            version=__version__,
            models=escape(", ".join(self._monitor.models)),
            metrics=escape(self._telemetry_path.lstrip("/")),
        )
        policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})


def lifecycle_routes(reload: Reload | None) -> list[web.RouteDef]:
    """Return `POST /-/reload`, which says that it is switched off where `reload` is None."""

    async def post_reload(request: web.Request) -> web.Response:
        if reload is None:
            return web.Response(status=403, text="Lifecycle API is not enabled: --web.enable-lifecycle\n")
        problem = reload()
        return web.Response(status=500 if problem else 200, text=f"{problem}\n" if problem else "")

    return [web.post("/-/reload", post_reload)]


def _answer(report: Callable[[], Report]) -> web.Response:
    try:
        document, status = report(), 200
    except NotThere as error:
        document, status = {"error": str(error)}, 404
    body = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    return web.Response(status=status, body=body, headers={"Content-Type": "application/json"})
