"""A Kubernetes API for tests, over HTTP, that keeps its objects in memory.

What it does as the real one: namespaced objects of any kind by path; `get`, `list` with label selectors of equality,
`create`, `patch`; a resourceVersion that every change raises, and 409 for a patch that names another one; JSON patches
(test, add, replace, remove) and merge patches, 415 for others; the status subresource, and no change of the status but
by it; `generation` for changes of the spec; 409 for a name that is taken; 404, 403 (`forbid`) and Status documents.

Of the controllers it has those of Deployments and Rollouts, run at once after each change unless `controllers` is off:
a ReplicaSet for each template, found again when the template comes back, with its hash, a new revision number and a
copy of the annotations; `observedGeneration`. Pod templates of Deployments and ReplicaSets get the defaults of the API,
those of Rollouts, a custom resource, none. `managedFields` names who changed what last, by `fieldManager`.

What it does not do: strategic merge and apply patches, watches, validation but of the selector of a Deployment and of
replicas, admission, pods, garbage collection, authentication, field by field ownership in `managedFields`.

To make trouble: `down` answers 503, `hold` keeps the requests that fit waiting until released, `before` runs a function
ahead of the requests that fit, `latency_seconds` delays all. `requests` is what was asked, `log` what was changed.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.kubernetes.rollback.defaults import fill_in
from tests.kubernetes.rollback.patches import Failure, json_patched, merged

Object = dict[str, Any]
Fits = Callable[["Request"], bool]

GROUPS = {"deployments": "apps", "replicasets": "apps", "rollouts": "argoproj.io"}
MARKS = {
    "deployments": ("deployment.kubernetes.io/revision", "pod-template-hash"),
    "rollouts": ("rollout.argoproj.io/revision", "rollouts-pod-template-hash"),
}


@dataclass(frozen=True)
class Request:
    verb: str
    group: str
    resource: str
    namespace: str
    name: str = ""
    subresource: str = ""

    def rule(self) -> tuple[str, str, str]:
        """Return group, resource and verb as a rule of RBAC has them."""
        return self.group, "/".join(filter(None, (self.resource, self.subresource))), self.verb


@dataclass
class Held:
    """Requests that wait: `arrived` can be acquired once for each, `released` lets them go."""

    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    released: asyncio.Event = field(default_factory=asyncio.Event)
    after: bool = False
    dropped: bool = False


class FakeKubernetes:
    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.requests: list[Request] = []
        self.log: list[tuple[str, str, str]] = []
        self.down = False
        self.controllers = True
        self.latency_seconds = 0.0
        self.forbidden: set[tuple[str, str]] = set()
        self.missing: set[str] = set()
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._version = 100
        self._holds: list[tuple[Fits, Held]] = []
        self._hooks: list[tuple[Fits, Callable[[], None]]] = []
        self.url = ""

    # What tests do to it.

    def put(self, plural: str, document: Object) -> Object:
        """Store an object as it is, with what the API would add."""
        about = document.setdefault("metadata", {})
        about.setdefault("namespace", "ml")
        about.setdefault("uid", f"uid-{plural}-{about['name']}")
        about.setdefault("creationTimestamp", self.now().strftime("%Y-%m-%dT%H:%M:%SZ"))
        about.setdefault("generation", 1)
        self._store(plural, document)
        return document

    def get(self, plural: str, name: str, namespace: str = "ml") -> Object:
        return self.objects[plural, namespace, name]

    def all(self, plural: str) -> list[Object]:
        return [deepcopy(o) for (kind, _, _), o in self.objects.items() if kind == plural]

    def edit(self, plural: str, name: str, change: Callable[[Object], object]) -> None:
        """Change an object as a person would, and let the controllers run."""
        document = deepcopy(self.get(plural, name))
        before = deepcopy(document)
        change(document)
        self._update(plural, before, document)

    def before(self, fits: Fits, run: Callable[[], None]) -> None:
        """Run a function ahead of the next request that fits."""
        self._hooks.append((fits, run))

    def hold(self, fits: Fits, *, after: bool = False) -> Held:
        """Keep requests that fit waiting, before they are carried out or, with `after`, before they are answered."""
        held = Held(after=after)
        self._holds.append((fits, held))
        return held

    def drop_held(self) -> None:
        """Forget the requests that wait, as if they had never arrived, and hold nothing from now on."""
        for _, held in self._holds:
            held.dropped = True
            held.released.set()
        self._holds.clear()

    def changed(self, resource: str) -> list[str]:
        """Return what was changed of the spec of objects of a resource, in order."""
        return [what for plural, _, what in self.log if plural == resource]

    @asynccontextmanager
    async def serve(self, port: int = 0) -> Any:
        application = web.Application()
        for base in ("/api/{version}", "/apis/{group}/{version}"):
            path = base + "/namespaces/{namespace}/{resource}"
            application.router.add_route("*", path, self._handle)
            application.router.add_route("*", path + "/{name}", self._handle)
            application.router.add_route("*", path + "/{name}/{subresource}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            for _, held in self._holds:
                held.released.set()
            await runner.cleanup()

    # The API.

    async def _handle(self, http: web.Request) -> web.Response:
        path = http.match_info
        one = "name" in path
        verb = {"GET": "get" if one else "list", "POST": "create", "PATCH": "patch"}.get(http.method, http.method)
        name, subresource = path.get("name", ""), path.get("subresource", "")
        request = Request(verb, path.get("group", ""), path["resource"], path["namespace"], name, subresource)
        body = await http.read()
        self.requests.append(request)
        for i, (fits, run) in enumerate(self._hooks):
            if fits(request):
                del self._hooks[i]
                run()
                break
        await self._wait(request, after=False)
        if self.latency_seconds:
            await asyncio.sleep(self.latency_seconds)
        try:
            answer = self._answer(request, http, body)
        except Failure as failure:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": str(failure)}
            return web.json_response({**status, "reason": failure.reason, "code": failure.code}, status=failure.code)
        await self._wait(request, after=True)
        return web.json_response(answer, status=201 if verb == "create" else 200)

    async def _wait(self, request: Request, *, after: bool) -> None:
        for fits, held in self._holds:
            if held.after is after and fits(request):
                held.arrived.release()
                await held.released.wait()
                if held.dropped:
                    raise web.HTTPServiceUnavailable

    def _answer(self, request: Request, http: web.Request, body: bytes) -> Object:
        if self.down:
            raise Failure(503, "ServiceUnavailable", "the API is down")
        if (request.verb, request.resource) in self.forbidden:
            raise Failure(403, "Forbidden", f"{request.resource} is forbidden: cannot {request.verb}")
        if request.resource in self.missing:
            raise Failure(404, "NotFound", "the server could not find the requested resource")
        if request.verb == "list":
            return self._list(request, http.query.get("labelSelector", ""))
        if request.verb == "create":
            document = json.loads(body)
            if (request.resource, request.namespace, document["metadata"]["name"]) in self.objects:
                raise Failure(409, "AlreadyExists", f"{document['metadata']['name']!r} already exists")
            return self.put(request.resource, document)
        stored = self.objects.get((request.resource, request.namespace, request.name))
        if stored is None:
            raise Failure(404, "NotFound", f"{request.resource} {request.name!r} not found")
        if request.verb == "get":
            return deepcopy(stored)
        if request.verb == "patch":
            manager = http.query.get("fieldManager", "unknown")
            return self._patch(request, stored, http.content_type, json.loads(body), manager)
        raise Failure(405, "MethodNotAllowed", request.verb)

    def _list(self, request: Request, selector: str) -> Object:
        wanted = dict(pair.split("=", 1) for pair in selector.split(",") if pair)
        items = [
            {k: v for k, v in deepcopy(document).items() if k not in ("kind", "apiVersion")}
            for (plural, namespace, _), document in self.objects.items()
            if (plural, namespace) == (request.resource, request.namespace)
            and wanted.items() <= (document["metadata"].get("labels") or {}).items()
        ]
        return {"kind": "List", "metadata": {"resourceVersion": str(self._version)}, "items": items}

    def _patch(self, request: Request, stored: Object, content_type: str, patch: Any, manager: str) -> Object:
        if content_type == "application/json-patch+json":
            patched = json_patched(stored, patch)
        elif content_type == "application/merge-patch+json":
            patched = merged(stored, patch)
        else:
            raise Failure(415, "UnsupportedMediaType", content_type)
        if patched["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"]:
            raise Failure(409, "Conflict", "the object has been modified; apply your changes to the latest version")
        if request.subresource == "status":
            patched = {**stored, "status": patched.get("status")}
        elif request.subresource:
            raise Failure(404, "NotFound", request.subresource)
        elif "status" in stored:
            patched["status"] = stored["status"]
        managed(patched, manager, request.subresource, at=self.now())
        self._update(request.resource, stored, patched)
        return deepcopy(self.get(request.resource, request.name, request.namespace))

    def _update(self, plural: str, before: Object, after: Object) -> None:
        spec = after.get("spec") or {}
        fill_in(plural, spec)
        if spec.get("replicas", 0) < 0:
            raise Failure(422, "Invalid", "spec.replicas: must not be negative")
        if plural == "deployments":
            wanted = spec["selector"].get("matchLabels", {}).items()
            if not wanted <= (spec["template"]["metadata"].get("labels") or {}).items():
                raise Failure(422, "Invalid", "spec.template.metadata.labels: the selector does not match")
        name = after["metadata"]["name"]
        if spec != before.get("spec"):
            after["metadata"]["generation"] = before["metadata"].get("generation", 1) + 1
            changed = [key for key in spec if spec[key] != (before.get("spec") or {}).get(key)]
            self.log.append((plural, name, ",".join(changed)))
        self._store(plural, after)

    def _store(self, plural: str, document: Object) -> None:
        self._version += 1
        about = document["metadata"]
        about["resourceVersion"] = str(self._version)
        fill_in(plural, document.get("spec") or {})
        self.objects[plural, about["namespace"], about["name"]] = deepcopy(document)
        if self.controllers and plural in MARKS and "template" in document.get("spec", {}):
            self.roll_out(plural, about["name"], about["namespace"])

    def roll_out(self, plural: str, name: str, namespace: str = "ml") -> None:
        """Do what the controller of a Deployment or Rollout does after a change."""
        owner = self.objects[plural, namespace, name]
        revision_mark, hash_mark = MARKS[plural]
        template = owner["spec"]["template"]
        defaulted = {"template": deepcopy(template)}
        fill_in("replicasets", defaulted)
        digest = hashlib.sha256(json.dumps(defaulted["template"], sort_keys=True).encode()).hexdigest()[:10]
        owned = [
            o
            for (kind, space, _), o in self.objects.items()
            if kind == "replicasets"
            and space == namespace
            and o["metadata"].get("ownerReferences", [{}])[0].get("uid") == owner["metadata"]["uid"]
        ]
        numbers = [int(o["metadata"]["annotations"][revision_mark]) for o in owned]
        current = next((o for o in owned if o["metadata"]["labels"][hash_mark] == digest), None)
        newest = max(owned, key=lambda o: int(o["metadata"]["annotations"][revision_mark]), default=None)
        before = newest and (max(numbers), newest["metadata"]["labels"][hash_mark])
        annotations = owner["metadata"].setdefault("annotations", {})
        if current is None:
            labelled = deepcopy(template)
            labelled["metadata"].setdefault("labels", {})[hash_mark] = digest
            selector = deepcopy(owner["spec"]["selector"])
            selector.setdefault("matchLabels", {})[hash_mark] = digest
            reference = {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": name,
                "uid": owner["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
            about = {
                "name": f"{name}-{digest}",
                "namespace": namespace,
                "ownerReferences": [reference],
                "labels": labelled["metadata"]["labels"],
                "annotations": {},
            }
            current = self.put("replicasets", {"metadata": about, "spec": {"selector": selector, "template": labelled}})
            current = self.objects["replicasets", namespace, f"{name}-{digest}"]
            number = max(numbers, default=0) + 1
        else:
            number = int(current["metadata"]["annotations"][revision_mark])
            if number != max(numbers):
                number = max(numbers) + 1
        annotations[revision_mark] = str(number)
        current["metadata"]["annotations"] = dict(annotations)
        status = owner.setdefault("status", {})
        if before != (number, digest):
            updated = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            status["conditions"] = [{"type": "Progressing", "status": "True", "lastUpdateTime": updated}]
        if plural == "deployments":
            status["observedGeneration"] = owner["metadata"]["generation"]
        else:
            status["observedGeneration"] = str(owner["metadata"]["generation"])
            status["currentPodHash"] = digest
            status.setdefault("stableRS", digest)
            if status.get("abort") and status["stableRS"] == digest:
                del status["abort"]
        self._version += 1
        owner["metadata"]["resourceVersion"] = str(self._version)


def managed(document: Object, manager: str, subresource: str, *, at: datetime) -> None:
    """Note in `managedFields` who changed an object, in one entry for each manager."""
    entries = document["metadata"].setdefault("managedFields", [])
    entry = {
        "manager": manager,
        "operation": "Update",
        "apiVersion": document.get("apiVersion", ""),
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "fieldsType": "FieldsV1",
        "fieldsV1": {f"f:{subresource or 'spec'}": {}},
        **({"subresource": subresource} if subresource else {}),
    }
    same = ("manager", "operation", "subresource")
    entries[:] = [e for e in entries if any(e.get(key) != entry.get(key) for key in same)]
    entries.append(entry)
