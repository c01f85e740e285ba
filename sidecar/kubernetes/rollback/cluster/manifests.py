"""Manifests: a cluster read from a file, to try policies without any access: `kubectl get … -o yaml > objects.yaml`.

It only reads. There is nothing to patch in a file, and a dry run asks for no patch.
"""

from pathlib import Path
from typing import Any

import yaml

from sidecar.base.configfile import ConfigError, read_text
from sidecar.kubernetes.rollback.cluster.protocol import Document, Kind, NotFound, Object, Operations, Refused
from sidecar.kubernetes.rollback.cluster.workload import labels as labels_of
from sidecar.kubernetes.rollback.cluster.workload import metadata


class Manifests:
    """The objects of a file of YAML documents, lists among them, as a `Cluster`."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises ConfigError."""
        self._path = path
        try:
            documents = list(yaml.safe_load_all(read_text(path)))
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: not YAML: {error}") from error
        self._objects: list[Object] = []
        for i, document in enumerate(documents):
            if document is not None:
                self._objects += _objects(document, f"{path}: document {i + 1}")

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Return an object; raises NotFound."""
        for document in await self.list(kind, namespace):
            if metadata(document)["name"] == name:
                return document
        raise NotFound(f"{self._path} has no {kind.name} {namespace}/{name}")

    async def list(self, kind: Kind, namespace: str, *, labels: dict[str, str] | None = None) -> list[Object]:
        """Return the objects that have the labels."""
        wanted = (labels or {}).items()
        return [
            document
            for document in self._objects
            if (document["apiVersion"], document["kind"]) == (kind.api_version, kind.name)
            and metadata(document).get("namespace", "default") == namespace
            and wanted <= labels_of(document).items()
        ]

    async def json_patch(self, kind: Kind, namespace: str, name: str, operations: Operations) -> Object:
        """Refuse."""
        raise Refused(f"{self._path} is a file: {kind.name} {namespace}/{name} cannot be patched")

    async def merge_patch(
        self, kind: Kind, namespace: str, name: str, document: Document, *, status: bool = False
    ) -> Object:
        """Refuse."""
        raise Refused(f"{self._path} is a file: {kind.name} {namespace}/{name} cannot be patched")

    async def create(self, kind: Kind, namespace: str, document: Document) -> Object:
        """Refuse."""
        raise Refused(f"{self._path} is a file: no {kind.name} can be created in it")

    async def close(self) -> None:
        """Do nothing."""


def _objects(document: Any, where: str) -> list[Object]:
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise ConfigError(f"{where}: it is not a Kubernetes object")
    if isinstance(document.get("items"), list):
        return [found for item in document["items"] for found in _objects(item, where)]
    if not isinstance(document.get("apiVersion"), str) or not (document.get("metadata") or {}).get("name"):
        raise ConfigError(f"{where}: the {document['kind']} lacks apiVersion or metadata.name")
    return [_without_dates(document)]


def _without_dates(value: Any) -> Any:
    """Write as text what YAML made a date, as the API does."""
    if isinstance(value, dict):
        return {key: _without_dates(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_dates(inner) for inner in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
