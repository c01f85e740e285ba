"""Kubernetes: the cluster over HTTP, by lightkube.

Resources are declared as generic ones, dictionaries that keep every field, and not by the models of the client, which
know the fields of one version of Kubernetes and would drop the others from a template that is put back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import msgspec
from lightkube import AsyncClient, KubeConfig
from lightkube.core.exceptions import ConfigError as ClientConfigError
from lightkube.core.resource import ApiInfo, ResourceDef
from lightkube.generic_resource import GenericNamespacedResource, GenericNamespacedStatus
from lightkube.types import PatchType

from sidecar.base.configfile import ConfigError
from sidecar.kubernetes.rollback.cluster.protocol import (
    KINDS,
    ClusterError,
    Conflict,
    Document,
    Kind,
    NotFound,
    Object,
    Operations,
    Refused,
    Unavailable,
)

Observe = Callable[[str, str, str], None]
"""Count a request: verb, resource, result."""

T = TypeVar("T")

OBJECTS = 10_000
"""Objects of one list that are held in memory."""

FIELD_MANAGER = "model-sidecar"
_VERBS = ["get", "list", "patch", "post"]
_AGAIN_LATER = frozenset({408, 425, 429})


class Kubernetes:
    """Make the requests of the `Cluster` protocol; each, with all pages of a list, within `timeout_seconds`."""

    def __init__(self, config: KubeConfig | None, *, timeout_seconds: float, observe: Observe) -> None:
        """Connect lazily; without a configuration, to the cluster this runs in, or else as `kubectl` would."""
        try:
            self._client = AsyncClient(
                config, timeout=httpx2.Timeout(timeout_seconds), field_manager=FIELD_MANAGER, trust_env=True
            )
        except (ClientConfigError, OSError, KeyError, ValueError, AssertionError) as error:
            # It asserts that there is a user.
            raise ConfigError(f"no access to Kubernetes: {error}") from error
        self._timeout_seconds = timeout_seconds
        self._observe = observe
        self._resources = {kind: _resource(kind) for kind in KINDS}
        self._statuses = {kind: _status(kind) for kind in KINDS}

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Return an object; raises NotFound."""
        request = self._client.get(self._resources[kind], name, namespace=namespace)
        return dict(await self._made("get", kind.plural, f"{namespace}/{name}", request))

    async def list(self, kind: Kind, namespace: str, *, labels: dict[str, str] | None = None) -> list[Object]:
        """Return the objects that have the labels; none where the kind is not installed."""

        async def gather() -> list[Object]:
            selector: Any = labels
            found = self._client.list(self._resources[kind], namespace=namespace, labels=selector)
            objects: list[Object] = []
            async for item in found:
                objects.append({"apiVersion": kind.api_version, "kind": kind.name, **item})
                if len(objects) > OBJECTS:
                    raise Refused(f"list {kind.plural} {namespace}: there are more than {OBJECTS}")
            return objects

        try:
            return await self._made("list", kind.plural, namespace, gather())
        except NotFound:
            return []

    async def json_patch(self, kind: Kind, namespace: str, name: str, operations: Operations) -> Object:
        """Apply a JSON patch and return the object."""
        body: Any = operations
        request = self._client.patch(self._resources[kind], name, body, namespace=namespace, patch_type=PatchType.JSON)
        return dict(await self._made("patch", kind.plural, f"{namespace}/{name}", request))

    async def merge_patch(
        self, kind: Kind, namespace: str, name: str, document: Document, *, status: bool = False
    ) -> Object:
        """Apply a merge patch, to the status subresource if asked, and return the object."""
        resource: Any = self._statuses[kind] if status else self._resources[kind]
        plural = f"{kind.plural}/status" if status else kind.plural
        request = self._client.patch(resource, name, document, namespace=namespace, patch_type=PatchType.MERGE)
        return dict(await self._made("patch", plural, f"{namespace}/{name}", request))

    async def create(self, kind: Kind, namespace: str, document: Document) -> Object:
        """Create an object; raises Conflict where it is there already."""
        body: GenericNamespacedResource = self._resources[kind](document)
        request = self._client.create(body)
        return dict(await self._made("create", kind.plural, namespace, request))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _made(self, verb: str, resource: str, place: str, request: Awaitable[T]) -> T:
        """Await a request, count it, and raise what its failure means."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                answer = await request
        except TimeoutError as error:
            self._observe(verb, resource, _name(Unavailable))
            told = f"no whole answer within {self._timeout_seconds:g} seconds"
            raise Unavailable(f"{verb} {resource} {place}: {told}") from error
        except Refused:
            self._observe(verb, resource, _name(Refused))
            raise
        except httpx2.HTTPStatusError as error:
            failure = _meaning(error.response.status_code)
            self._observe(verb, resource, _name(failure))
            raise failure(f"{verb} {resource} {place}: {error.response.status_code}: {_told(error)}") from error
        except httpx2.HTTPError as error:
            self._observe(verb, resource, _name(Unavailable))
            raise Unavailable(f"{verb} {resource} {place}: {str(error) or type(error).__name__}") from error
        except (msgspec.MsgspecError, ValueError, KeyError) as error:
            # What lightkube raises for an answer that is not of the Kubernetes API, as a proxy in between may give.
            self._observe(verb, resource, _name(Unavailable))
            raise Unavailable(f"{verb} {resource} {place}: the answer is not of the Kubernetes API: {error}") from error
        self._observe(verb, resource, "ok")
        return answer


def configuration(kubeconfig: Path | None, context: str | None) -> KubeConfig | None:
    """Return the configuration of a kubeconfig file and context; None is to find out. Raises ConfigError."""
    if kubeconfig is None:
        return None
    try:
        config = KubeConfig.from_file(kubeconfig)
    except (ClientConfigError, OSError, KeyError, ValueError, TypeError) as error:
        raise ConfigError(f"{kubeconfig}: it is not a kubeconfig file: {error}") from error
    if context is not None:
        config.current_context = context
    return config


def _resource(kind: Kind) -> Any:
    info = ApiInfo(resource=ResourceDef(kind.group, kind.version, kind.name), plural=kind.plural, verbs=_VERBS)
    return type(kind.name, (GenericNamespacedResource,), {"_api_info": info})


def _status(kind: Kind) -> Any:
    definition = ResourceDef(kind.group, kind.version, kind.name)
    info = ApiInfo(resource=definition, parent=definition, plural=kind.plural, verbs=_VERBS, action="status")
    return type(f"{kind.name}Status", (GenericNamespacedStatus,), {"_api_info": info})


def _meaning(status: int) -> type[ClusterError]:
    if status == 404:
        return NotFound
    if status == 409:
        return Conflict
    if status >= 500 or status in _AGAIN_LATER:
        return Unavailable
    return Refused


def _name(failure: type[ClusterError]) -> str:
    return {NotFound: "not_found", Conflict: "conflict", Unavailable: "unavailable", Refused: "refused"}[failure]


def _told(error: httpx2.HTTPStatusError) -> str:
    try:
        return str(error.response.json().get("message", error))
    except (ValueError, AttributeError):
        return error.response.reason_phrase
