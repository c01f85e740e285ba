"""AdmissionReview, version 1: the body that the API server sends, and its answer.

A pod is never refused: what cannot be patched is let through, with a warning that `kubectl` shows.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec

from sidecar.kubernetes.inject.outcome import SILENT, LeftAlone, Outcome
from sidecar.kubernetes.inject.patch import patch
from sidecar.kubernetes.inject.pod import Pod
from sidecar.kubernetes.inject.settings import Settings

WARNING_LENGTH = 250
"""The API server cuts a warning off at 256 bytes."""


class Unreadable(Exception):
    """A body is no AdmissionReview; the message says why in one sentence."""


class _Kind(msgspec.Struct, frozen=True):
    kind: str
    group: str = ""
    version: str = ""


class _Request(msgspec.Struct, frozen=True):
    uid: str
    kind: _Kind
    operation: str
    namespace: str = ""
    name: str = ""
    object: msgspec.Raw = msgspec.Raw(b"null")
    subResource: str = ""


class _Review(msgspec.Struct, frozen=True):
    apiVersion: Literal["admission.k8s.io/v1"]
    kind: Literal["AdmissionReview"]
    request: _Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """How a review ended. `about` is which pod it was, as fields of the log."""

    answer: bytes
    outcome: Outcome
    about: dict[str, str]
    warnings: list[str]


_reviews = msgspec.json.Decoder(_Review)
_pods = msgspec.json.Decoder(Pod)


def review(body: bytes, settings: Settings) -> Reviewed:
    """Answer a review; raises Unreadable."""
    try:
        request = _reviews.decode(body).request
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    response: dict[str, object] = {"uid": request.uid, "allowed": True}
    about = {"namespace": request.namespace, "pod": request.name}
    try:
        pod = _pod(request)
        about |= _names(pod, request)
        made = patch(pod, settings, namespace=request.namespace)
    except LeftAlone as reason:
        outcome = reason.outcome
        warnings = [] if outcome in SILENT else [f"not injected: {reason}"]
    else:
        outcome = Outcome.PATCHED if made.operations else Outcome.UNCHANGED
        warnings = made.warnings
        if made.operations:
            response |= {"patchType": "JSONPatch", "patch": msgspec.json.encode(made.operations)}
    if warnings:
        response["warnings"] = [_printable(f"model-sidecar: {warning}") for warning in warnings]
    document = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    return Reviewed(
        answer=msgspec.json.encode(document),
        outcome=outcome,
        about={name: value for name, value in {**about, "uid": request.uid}.items() if value},
        warnings=warnings,
    )


def _pod(request: _Request) -> Pod:
    kind = request.kind
    if (kind.group, kind.kind) != ("", "Pod") or request.operation != "CREATE" or request.subResource:
        raise LeftAlone(Outcome.NOT_A_NEW_POD, "only pods that are created are patched")
    try:
        return _pods.decode(request.object)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LeftAlone(Outcome.UNREADABLE, f"the pod cannot be read: {error}") from error


def _names(pod: Pod, request: _Request) -> dict[str, str]:
    """Name a pod by what is known of it before it is created."""
    owner = pod.owner()
    return {
        "pod": request.name or pod.metadata.name or "",
        "generate_name": pod.metadata.generate_name or "",
        "owner": str(owner) if owner else "",
        "owner_uid": owner.uid if owner else "",
    }


def _printable(text: str) -> str:
    """Return a text as an HTTP header may carry it."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in text)
    return plain if len(plain) <= WARNING_LENGTH else plain[: WARNING_LENGTH - 3] + "..."
