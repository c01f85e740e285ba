"""Where a running sidecar is, as people write it: a URL, a host and port, or the path of a Unix socket."""

import re
from pathlib import Path

_HOST_AND_PORT = re.compile(r"[\w.\-]*:\d+|\[[0-9a-fA-F:.]+\]:\d+")


class NoPeer(Exception):
    """What was written is no place where a sidecar could be; the message says so in one sentence."""


def peer(to: str) -> tuple[str, str | None]:
    """Return the URL that paths are added to, and the path of the socket if it is one. Raises NoPeer.

    >>> peer("127.0.0.1:8000/")
    ('http://127.0.0.1:8000', None)
    >>> peer("/run/sidecar.sock")
    ('http://localhost', '/run/sidecar.sock')
    """
    if "://" not in to and not to.startswith("unix:") and _HOST_AND_PORT.fullmatch(to.rstrip("/")):
        to = to if Path(to).exists() else f"http://{to}"
    if re.match(r"https?://", to):
        return to.rstrip("/").removesuffix("/monitor"), None
    if "://" in to and not to.startswith("unix://"):
        raise NoPeer(f"{to}: neither an http:// address nor the path of a Unix socket")
    return "http://localhost", to.removeprefix("unix:").removeprefix("//")
