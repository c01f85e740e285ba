"""`model-sidecar health`: whether a sidecar, receiver or injector answers, for health checks where there is no curl.

It needs the standard library alone, so that asking every few seconds costs little, and passes by proxies of the
environment.
"""

import argparse
import http.client
import math
import re
import socket
import ssl
from urllib.parse import urlsplit

from sidecar.cli.terminal import tell
from sidecar.cli.unreachable import advice, reason
from sidecar.http.address import NoPeer, peer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "sidecar",
        metavar="URL|SOCKET",
        nargs="?",
        default="http://127.0.0.1:8000",
        help="whom to ask: http://127.0.0.1:8000, 127.0.0.1:8000, or a Unix socket (default: %(default)s); "
        "certificates of https:// are not verified",
    )
    parser.add_argument("--ready", action="store_true", help="ask whether it is ready, not only alive")
    parser.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, default=2.0, help="how long to wait for bytes (default: 2)"
    )


def run(args: argparse.Namespace) -> int:
    """Ask once; status 0 if the answer is 200, else 1 with a sentence that says why."""
    shown = re.sub(r"//[^/@]*@", "//", args.sidecar)  # a password is not to be shown
    path = "/-/ready" if args.ready else "/-/healthy"
    try:
        url, socket_path = peer(args.sidecar)
        connection = _connection(url, socket_path, args.timeout)
        try:
            connection.request("GET", urlsplit(url).path + path)
            response = connection.getresponse()
            said = response.read(1000).decode(errors="replace").strip()
        finally:
            connection.close()
    except NoPeer as error:
        tell(str(error))
        return 1
    except (OSError, ValueError, http.client.HTTPException) as error:
        tell(f"{shown}: {reason(error)}{advice(error)}")
        return 1
    if response.status != http.client.OK:
        tell(f"{shown}: {path} answers {response.status}: {said}")
        return 1
    print(said)
    return 0


def _connection(url: str, socket_path: str | None, timeout: float) -> http.client.HTTPConnection:
    if socket_path is not None:
        return _UnixConnection(socket_path, timeout)
    parts = urlsplit(url)
    if parts.scheme == "https":
        # Whether it answers is all that is asked, and nobody's certificate is for 127.0.0.1. The kubelet does the same.
        context = ssl._create_unverified_context()  # noqa: S323
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout, context=context)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix stream socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
