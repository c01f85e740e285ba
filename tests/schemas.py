"""What Kubernetes, the Prometheus operator and cert-manager take, as JSON schemas; a schema is read once."""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

import kubernetes_validate
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.paths import DATA

OLDEST = "1.29"
NEWEST: str = kubernetes_validate.latest_version().rpartition(".")[0]

_CUSTOM = DATA / "crds"


class NoSchema(Exception):
    """This version of Kubernetes has no such kind."""


def mistakes(document: dict[str, Any], version: str) -> list[str]:
    """Return what is wrong with an object for a version of Kubernetes such as 1.29; raises NoSchema."""
    found = _validator(document["apiVersion"], document["kind"], version).iter_errors(document)
    return [f"{document['kind']} {error.json_path}: {error.message[:300]}" for error in found]


@cache
def _validator(api_version: str, kind: str, version: str) -> Draft202012Validator:
    custom = _CUSTOM / f"{kind}-{api_version.replace('/', '-')}.json"
    if custom.exists():
        return Draft202012Validator(json.loads(custom.read_text()))
    # rbac.authorization.k8s.io/v1 is in role-rbac-v1.json
    name = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    path = folder / f"{kind.lower()}-{name}.json"
    if not path.is_file():
        raise NoSchema(f"{api_version} {kind} in {version}")
    schema = json.loads(path.read_text())
    registry = Resource.from_contents(schema) @ Registry()
    return Draft202012Validator(schema, registry=_definitions(version) @ registry)


@cache
def _definitions(version: str) -> Any:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    return Resource.from_contents(json.loads((folder / "_definitions.json").read_text()))
