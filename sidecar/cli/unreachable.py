"""Why a sidecar could not be reached, and what would help."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOBODY = (ConnectionRefusedError, FileNotFoundError)

HINTS: "Mapping[int, str]" = {
    401: "it asks for a password: write http://USER:PASSWORD@HOST:PORT",
    413: "a smaller --batch may help",
    404: "nothing takes events there: name the address of --ingest.listen-address, not of --web.listen-address",
    405: "nothing takes events there: name the address of --ingest.listen-address, not of --web.listen-address",
}
"""What helps against the status of an answer."""


def reason(error: BaseException) -> str:
    """Return the system's own reason why there was no answer, without what a library adds."""
    cause = getattr(error, "os_error", error)
    number = cause.errno if isinstance(cause, OSError) else None
    told = os.strerror(number) if number and number > 0 else getattr(cause, "strerror", None) or str(error)
    return told or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def advice(error: BaseException | None) -> str:
    """Return what would help against an error, to be put behind its reason."""
    nobody = isinstance(getattr(error, "os_error", error), _NOBODY)
    return ": nobody listens there; does `model-sidecar serve` run?" if nobody else ""
