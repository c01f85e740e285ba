"""What msgspec says of a value that it refuses, as a path and a reason.

msgspec has no attributes for these, so its English is read, here and nowhere else; a test names every message.
"""

import re

from sidecar.events.refusals import Refusal

_PLACED = re.compile(r"(.*) - at (?:`key` in )?`(\$.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_BEYOND_DOUBLES = ("Number out of range", "Integer value out of range")


def placed(reason: str, path: str) -> str:
    """Write a reason with its path as msgspec does, for errors of our own."""
    return f"{reason} - at `{path}`"


def refusal_of(index: int, message: str, *, when_missing: dict[str, str]) -> Refusal:
    """Return the refusal that a message stands for.

    `when_missing` has what to say of required fields that are missing; of others msgspec's words are kept.
    """
    match = _PLACED.fullmatch(message)
    reason, path = match.groups() if match else (message, "$")
    missing = _MISSING.fullmatch(reason)
    if missing and missing[1] in when_missing:
        return Refusal(index, f"{path}.{missing[1]}", when_missing[missing[1]])
    return Refusal(index, path, reason)


def lacks_model(refusal: Refusal) -> bool:
    """Tell whether an event is refused because it names none of several models."""
    missing = _MISSING.fullmatch(refusal.reason)
    return missing is not None and missing[1] == "model"


def is_beyond_doubles(message: str) -> bool:
    """Tell whether a number is refused because neither a double nor an int64 can hold it."""
    return message.startswith(_BEYOND_DOUBLES)
