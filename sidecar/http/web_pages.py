"""Keep web pages of other origins from writing, and from reading through a name that leads here.

A browser lets any page send a POST to a loopback address; it only hides the answer. What it sends carries `Origin`, and
`Sec-Fetch-Site`. A page whose own name is made to resolve to this machine (DNS rebinding) is of the same origin to the
browser; its requests carry that name in `Host`. Programs send neither header, and a `Host` that is an address or a name
of this machine.
"""

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware
from multidict import CIMultiDictProxy

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Reason = Literal["cross_site", "host"]
Refused = Callable[[Reason, str], None]
"""Count a request that is refused; the second argument says what it carried."""

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"same-origin", "none"})
_HOST = re.compile(r"\[([^\[\]]*)\](?::\d*)?|([^:\[\]]*)(?::\d*)?")
_ERRORS: dict[Reason, str] = {
    "cross_site": "requests from web pages of other origins are refused",
    "host": "this listener is not called that: see --web.allowed-hosts",
}


class AllowedHosts:
    """What a listener may be called in `Host`: any IP address, `localhost`, and these names."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(("localhost", *(name.lower() for name in names)))

    def allow(self, host: str) -> bool:
        """Tell whether a `Host` is allowed. An address always is: rebinding takes a name.

        >>> hosts = AllowedHosts(["sidecar.internal"])
        >>> [hosts.allow(host) for host in ("127.0.0.1:8000", "[::1]:8000", "LOCALHOST", "sidecar.internal:80")]
        [True, True, True, True]
        >>> [hosts.allow(host) for host in ("evil.example:8000", "localhost.evil.example", "", "::1")]
        [False, False, False, False]
        """
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        address, name = match.groups()
        return (name is not None and name.lower() in self._names) or _is_address(address or name)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def cross_site(headers: CIMultiDictProxy[str]) -> str | None:
    """Return the header that shows a request to come from a web page of another origin, None where none does."""
    for site in headers.getall("Sec-Fetch-Site", ()):
        if site not in _OWN_SITE:
            return f"Sec-Fetch-Site: {site}"
    host = headers.get("Host", "")
    for origin in headers.getall("Origin", ()):
        if origin not in (f"http://{host}", f"https://{host}"):
            return f"Origin: {origin}"
    return None


def refuse_web_pages(refused: Refused, *, hosts: AllowedHosts | None = None) -> Middleware:
    """Return the middleware that answers 403 to what web pages of other origins write, and to foreign names.

    Without `hosts` any name is allowed.
    """

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if hosts is not None:
            for host in request.headers.getall("Host", ()):
                if not hosts.allow(host):
                    return _refuse(refused, "host", f"Host: {host}")
        if request.method not in _READING and (carried := cross_site(request.headers)):
            return _refuse(refused, "cross_site", carried)
        return await handler(request)

    return guard


def _refuse(refused: Refused, reason: Reason, carried: str) -> web.Response:
    refused(reason, carried)
    body = msgspec.json.encode({"error": f"{_ERRORS[reason]} ({carried[:200]})"})
    return web.Response(status=403, body=body + b"\n", headers={"Content-Type": "application/json"})
