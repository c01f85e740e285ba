"""Answer a scrape: which format the scraper prefers, and the exposition, compressed where it takes that."""

import asyncio
import gzip
import re

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest as write_text
from prometheus_client.openmetrics.exposition import generate_latest as write_openmetrics

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_WEIGHT = re.compile(r"[01](\.\d{0,3})?")


def prefers_openmetrics(accept: str) -> bool:
    """Return whether an `Accept` header prefers OpenMetrics 1.0 to the text format, the default.

    >>> prefers_openmetrics("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
    True
    >>> prefers_openmetrics("application/openmetrics-text;version=1.0.0;q=0.1,text/plain"), prefers_openmetrics("*/*")
    (False, False)
    """
    openmetrics = text = 0.0
    for offered in accept.lower().split(","):
        media_type, *rest = (part.strip() for part in offered.split(";"))
        parameters = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in rest)}
        written = parameters.get("q", "1")
        weight = float(written) if _WEIGHT.fullmatch(written) else 0.0
        if media_type == "application/openmetrics-text" and parameters.get("version", "1.0.0") == "1.0.0":
            openmetrics = max(openmetrics, weight)
        elif media_type in ("text/plain", "text/*", "*/*"):
            text = max(text, weight)
    return openmetrics > 0 and openmetrics >= text


def process_families(registry: CollectorRegistry, *, openmetrics: bool) -> bytes:
    """Write the families of a registry, the last part of an exposition."""
    return write_openmetrics(registry) if openmetrics else write_text(registry)  # type: ignore[no-untyped-call]


async def exposition(request: web.Request, text: bytes, content_type: str) -> web.Response:
    """Return the answer to a scrape; compression runs in a thread, so that it holds nothing up."""
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    if _accepts_gzip(request.headers.get("Accept-Encoding", "")):
        text = await asyncio.to_thread(gzip.compress, text, 1)
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=text, headers=headers)


def _accepts_gzip(accept_encoding: str) -> bool:
    for offered in accept_encoding.lower().split(","):
        coding, _, weight = offered.replace(" ", "").partition(";")
        if coding == "gzip":
            return weight.rstrip("0.") != "q="
    return False
