"""Patch: requests that change a workload and its annotations at once, and only if it is as it was when it was read.

Every patch carries the resourceVersion that was read. The API compares it with the one that is stored and answers 409
where they differ, so of two receivers that decided the same only one gets through, and a person's change in between is
never overwritten.
"""

from typing import Any

from sidecar.kubernetes.rollback.cluster.protocol import Document, Object, Operations
from sidecar.kubernetes.rollback.cluster.workload import annotations, metadata
from sidecar.kubernetes.rollback.history import History


def json_patch(document: Object, history: History, *operations: dict[str, Any], cause: str = "") -> Operations:
    """Return a JSON patch that replaces the annotations and does the operations."""
    kept = {**annotations(document), **history.annotations()}
    if cause:
        kept["kubernetes.io/change-cause"] = cause
    return [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata(document)["resourceVersion"]},
        {"op": "add", "path": "/metadata/annotations", "value": kept},
        *operations,
    ]


def merge_patch(document: Object, history: History | None, **fields: Any) -> Document:
    """Return a merge patch of some fields, and of the annotations where there is a history."""
    about: dict[str, Any] = {"resourceVersion": metadata(document)["resourceVersion"]}
    if history is not None:
        about["annotations"] = history.annotations()
    return {"metadata": about, **fields}
