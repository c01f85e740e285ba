"""An event on its way: a plain tuple, because making anything else costs the caller more."""

from typing import Any

Event = tuple[dict[Any, Any] | None, Any, Any, Any, bool]
"""Features, prediction, probability, latency in milliseconds, error. Features are None in a bare error only."""
