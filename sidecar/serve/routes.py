"""The read-only endpoints, and the page that shows what they say."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from sidecar import __version__
from sidecar.alerting.conditions import Held, reporting_alerts
from sidecar.base.cooperative import Steps, at_once, in_slices
from sidecar.exposition.negotiation import exposition
from sidecar.http.jsontext import written
from sidecar.http.openapi import PATH as DESCRIPTION
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import LoadState, StorageState
from sidecar.reports.collector import Collector
from sidecar.reports.drift_report import reporting_drift
from sidecar.reports.latency_report import latency_report
from sidecar.reports.quality_report import quality_report
from sidecar.reports.report import NotThere, Report, utc_text
from sidecar.serve.alertmanager import AlertmanagerError, held_alerts
from sidecar.serve.long_answers import LongAnswers
from sidecar.serve.page import Page
from sidecar.serve.schemas import Error, Health, LastLoad, TransportCounts

PATHS = (
    "/",
    "/drift",
    "/latency",
    "/quality",
    "/alerts",
    "/health",
    "/-/healthy",
    "/-/ready",
    "/-/reload",
    "/monitor",
    "/labels",
    DESCRIPTION,
)
"""Reserved paths, which the path of the metrics must not be."""

PROBES = frozenset({"/-/healthy", "/-/ready"})
"""Paths that are served without authentication."""

LISTENER = web.AppKey("listener", str)
"""What the listener of an application is called in metrics."""

Reload = Callable[[], str | None]
"""Load configuration and references again; returns what is wrong with them, or None."""


class Web:
    """Answer the read-only endpoints."""

    def __init__(
        self,
        monitor: Monitor,
        collector: Collector,
        load: LoadState,
        clock: Callable[[], float],
        *,
        telemetry_path: str,
        refused: Callable[[web.Request], None],
        alertmanager_url: str | None = None,
        storage: StorageState | None = None,
    ) -> None:
        """`refused` is called for requests that are turned away because too many wait for long answers."""
        self._monitor = monitor
        self._collector = collector
        self._load = load
        self._clock = clock
        self._page = Page(telemetry_path)
        self._telemetry_path = telemetry_path
        self._alertmanager_url = alertmanager_url
        self._storage = storage
        self._started = clock()
        self._long_answers = LongAnswers(refused)
        self.ready = True

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, all for GET."""
        return [
            web.get("/", self.page),
            web.get("/drift", self.drift),
            web.get("/latency", self.latency),
            web.get("/quality", self.quality),
            web.get("/alerts", self.alerts),
            web.get("/health", self.health),
            web.get("/-/healthy", self.healthy),
            web.get("/-/ready", self.readiness),
            web.get(self._telemetry_path, self.metrics),
        ]

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer a scrape."""
        accept = request.headers.get("Accept", "")
        text, content_type = await self._long_answers.make(
            request, lambda: self._collector.exposing(accept, clock=self._clock)
        )
        return await exposition(request, text, content_type)

    async def drift(self, request: web.Request) -> web.Response:
        """Answer with the drift of every feature, or of one with its bins."""
        query = request.query
        limit = query.get("limit")
        if limit is not None and not (limit.isascii() and limit.isdecimal() and len(limit) < 10):
            return _answer(lambda: Error(error=f"limit: {limit!r} is not a whole number"), status=400)

        def begin() -> Steps[bytes]:
            steps = reporting_drift(
                self._monitor,
                now=self._clock(),
                model=query.get("model"),
                feature=query.get("feature"),
                window=query.get("window"),
                match=query.get("match"),
                limit=None if limit is None else int(limit),
            )
            return (yield from written((yield from steps)))

        try:
            return _json(await self._long_answers.make(request, begin))
        except NotThere as error:
            return _not_there(error)

    async def latency(self, request: web.Request) -> web.Response:
        """Answer with latency and errors."""
        model = request.query.get("model")
        return _answer(lambda: latency_report(self._monitor, now=self._clock(), model=model))

    async def quality(self, request: web.Request) -> web.Response:
        """Answer with how right predictions were, by their labels."""
        return _answer(lambda: quality_report(self._monitor, now=self._clock()))

    async def alerts(self, request: web.Request) -> web.Response:
        """Answer with the conditions of alerts that hold now, and with what Alertmanager holds if its URL is known."""
        report = await self._long_answers.make(request, lambda: reporting_alerts(self._monitor, now=self._clock()))
        if self._alertmanager_url is not None:
            try:
                alerts = await held_alerts(self._alertmanager_url, self._monitor.models)
                held = Held(alerts=alerts, error=None)
            except AlertmanagerError as error:
                held = Held(alerts=None, error=str(error))
            report = msgspec.structs.replace(report, alertmanager=held)
        return _json(await in_slices(written(report)))

    async def health(self, request: web.Request) -> web.Response:
        """Answer that the process is alive, with what it took in and lost since the start, and how it last loaded."""
        monitor, load = self._monitor, self._load
        monitor.flush(now=self._clock())
        report = Health(
            status="ok",
            version=__version__,
            uptime_seconds=round(self._clock() - self._started, 3),
            models={name: "learning" if m.learner else "monitoring" for name, m in monitor.models.items()},
            ingest={
                transport: TransportCounts(
                    events=events,
                    rejected=_by_reason(monitor.rejected, transport),
                    dropped=_by_reason(monitor.dropped, transport),
                )
                for transport, events in monitor.events.items()
            },
            unknown_features={name: m.unknown for name, m in monitor.models.items()},
            last_load=LastLoad(
                successful=load.successful,
                last_success=utc_text(datetime.fromtimestamp(load.last_success_timestamp_seconds, UTC)),
            ),
        )
        return _json(await in_slices(written(report)))

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
        problem = self._storage.problem if self._storage else None
        storage = [f"storage: counts would not survive a crash: {problem}\n"] if problem else []
        return web.Response(text="".join(["model-sidecar is ready.\n", *learning, *storage]))

    async def page(self, request: web.Request) -> web.Response:
        """Answer with the status page, or that the one the browser has is still the same."""
        known = request.if_none_match or ()
        unchanged = any(tag.value in (self._page.tag, "*") for tag in known)
        response = web.Response(status=304) if unchanged else web.Response(body=self._page.body)
        response.headers.update(self._page.headers)
        response.etag = self._page.tag
        return response


def description_routes(describe: Callable[[], bytes]) -> list[web.RouteDef]:
    """Return `GET /openapi.json`, which answers with the description of the listener."""

    async def get_description(request: web.Request) -> web.Response:
        return web.Response(body=describe(), headers={"Content-Type": "application/json"})

    return [web.get(DESCRIPTION, get_description)]


def lifecycle_routes(reload: Reload | None) -> list[web.RouteDef]:
    """Return `POST /-/reload`, which says that it is switched off where `reload` is None."""

    async def post_reload(request: web.Request) -> web.Response:
        if reload is None:
            return web.Response(status=403, text="Lifecycle API is not enabled: --web.enable-lifecycle\n")
        problem = reload()
        return web.Response(status=500 if problem else 200, text=f"{problem}\n" if problem else "")

    return [web.post("/-/reload", post_reload)]


def _by_reason(counts: Mapping[tuple[str, str], int], transport: str) -> dict[str, int]:
    return {reason: count for (by, reason), count in counts.items() if by == transport}


def _answer(report: Callable[[], Report], *, status: int = 200) -> web.Response:
    try:
        return _json(at_once(written(report())), status=status)
    except NotThere as error:
        return _not_there(error)


def _not_there(error: NotThere) -> web.Response:
    return _json(at_once(written(Error(error=str(error)))), status=404)


def _json(body: bytes, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=body, headers={"Content-Type": "application/json"})
