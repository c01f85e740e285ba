"""Patches as the Kubernetes API applies them."""

from copy import deepcopy
from typing import Any


class Failure(Exception):
    """An answer other than success: status code, reason and message."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason


def merged(document: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return deepcopy(patch)
    result = deepcopy(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def json_patched(document: Any, operations: list[dict[str, Any]]) -> Any:
    """Apply a JSON patch (RFC 6902), of members of objects only."""
    result = deepcopy(document)
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place = result
        for parent in parents:
            if parent not in place:
                raise Failure(422, "Invalid", f"there is no {operation['path']}")
            place = place[parent]
        kind = operation["op"]
        if kind != "add" and last not in place:
            raise Failure(422, "Invalid", f"there is no {operation['path']}")
        if kind == "test":
            if place[last] != operation["value"]:
                raise Failure(422, "Invalid", f"testing value {operation['path']} failed")
        elif kind == "remove":
            del place[last]
        elif kind in ("add", "replace"):
            place[last] = deepcopy(operation["value"])
        else:
            raise Failure(400, "BadRequest", f"unknown operation {kind}")
    return result
