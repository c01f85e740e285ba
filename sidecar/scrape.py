"""Answer a scrape: the exposition, compressed where the scraper takes it."""

import asyncio
import gzip

from aiohttp import web


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
