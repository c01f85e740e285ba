"""An event and a label on their way: plain tuples, because making anything else costs the caller more."""

from typing import Any, Optional

Event = tuple[Optional[dict[Any, Any]], Any, Any, Any, bool, Any]
"""Features, prediction, probability, latency in milliseconds, error, id. Features are None in a bare error only."""

Label = tuple[Any, Any]
"""The id of a prediction, and what turned out to be true."""
