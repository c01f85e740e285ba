"""Telling the service manager what it waits for, by the protocol of sd_notify(3)."""

import os
import socket

from sidecar.base.log import Log

log = Log("sidecar")


def notify(state: str) -> None:
    """Send a state such as `READY=1` to the socket that NOTIFY_SOCKET names; without one nobody waits for it."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    if path.startswith("@"):  # a name that is no file begins with a zero byte
        path = "\0" + path[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
        try:
            sending.sendto(state.encode(), path)
        except OSError as error:
            log.warning("the service manager cannot be told", state=state, error=error.strerror or error)
