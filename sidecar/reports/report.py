"""What all JSON reports share. Their structs are both the body and, by `msgspec.json.schema_components`, its schema."""

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from sidecar.monitor.model import Model
from sidecar.monitor.monitor import Monitor

Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Role = Literal["input", "output"]
"""What a feature is to the model."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON object of a report, with its keys in this order. None is a number that is not known."""


class NotThere(Exception):
    """A model, feature or window that was asked for does not exist; the message lists those that do."""


def choose_models(monitor: Monitor, name: str | None) -> list[Model]:
    """Return the model of this name, or all without one; raises NotThere."""
    if name is None:
        return list(monitor.models.values())
    if name not in monitor.models:
        raise not_there("model", name, monitor.models)
    return [monitor.models[name]]


def not_there(what: str, name: str, existing: Iterable[str], *, none: str = "") -> NotThere:
    """Make the error for a name that does not exist."""
    return NotThere(f"no {what} {name!r}; there is: {', '.join(existing) or none}")


def finite_or_none(value: float | np.floating[Any]) -> float | None:
    """Return a number, or None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None


def utc_text(moment: datetime) -> str:
    """Write a time of day, UTC, as the reports do."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
