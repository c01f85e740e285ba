"""The self-made certificate: made once, and kept by every upgrade."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography import x509
from helm_python import Config

from tests.helm.rendering import Object, loaded, of_kind, parsed, rendered

SECRET = "watch-injector-tls"


class Cluster:
    """An API server that has Secrets and nothing else."""

    def __init__(self) -> None:
        self.secrets: dict[str, Object] = {}
        self.asked: list[str] = []
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, document = cluster.answer(self.path.partition("?")[0])
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Stay quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str) -> tuple[int, Object]:
        self.asked.append(path)
        resource = {"name": "secrets", "singularName": "secret", "namespaced": True, "kind": "Secret", "verbs": ["get"]}
        known: dict[str, Object] = {
            "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
            "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [resource]},
        }
        name = path.removeprefix("/api/v1/namespaces/models/secrets/")
        document = known.get(path) or self.secrets.get(name)
        gone = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
        return (200, document) if document else (404, gone)

    @property
    def kubeconfig(self) -> str:
        named = {"name": "fake"}
        server = {"server": f"http://127.0.0.1:{self.server.server_port}"}
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "fake",
                "clusters": [{**named, "cluster": server}],
                "users": [{**named, "user": {}}],
                "contexts": [{**named, "context": {"cluster": "fake", "user": "fake"}}],
            }
        )


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    yield made
    made.server.shutdown()
    made.server.server_close()


def upgraded(cluster: Cluster) -> list[Object]:
    with Config(kubeconfig_content=cluster.kubeconfig, namespace="models") as config:
        found = config.render(loaded(), {}, name="watch", namespace="models", is_upgrade=True)
    return [o for name, text in found.items() if not name.endswith(".txt") for o in parsed(text)]


def certificate_of(objects: list[Object]) -> tuple[Object, str]:
    """Return the data of the Secret, and the bundle of the webhooks, which is one."""
    [bundle] = {
        webhook["clientConfig"]["caBundle"]
        for webhook in of_kind(objects, "MutatingWebhookConfiguration")["watch-models"]["webhooks"]
    }
    return of_kind(objects, "Secret")[SECRET]["data"], bundle


def test_it_is_for_the_service_and_signed_by_the_bundle_of_the_webhooks() -> None:
    data, bundle = certificate_of(rendered(injector={"certificate": {"days": 30}}))

    assert data["ca.crt"] == bundle
    certificate = x509.load_pem_x509_certificate(base64.b64decode(data["tls.crt"]))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "watch-injector.models.svc" in names.get_values_for_type(x509.DNSName)
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(base64.b64decode(bundle)))
    ssl.create_default_context(cadata=base64.b64decode(bundle).decode())


def test_an_upgrade_keeps_it(cluster: Cluster) -> None:
    data, bundle = certificate_of(upgraded(cluster))
    assert f"/api/v1/namespaces/models/secrets/{SECRET}" in cluster.asked
    cluster.secrets[SECRET] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "data": data,
        "metadata": {"name": SECRET, "namespace": "models"},
    }

    assert certificate_of(upgraded(cluster)) == (data, bundle)
    assert certificate_of(upgraded(cluster)) == (data, bundle)


def test_it_is_made_again_when_its_secret_is_gone_or_lacks_something(cluster: Cluster) -> None:
    before, _ = certificate_of(upgraded(cluster))
    cluster.secrets[SECRET] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "data": {"tls.crt": before["tls.crt"]},
        "metadata": {"name": SECRET, "namespace": "models"},
    }

    after, bundle = certificate_of(upgraded(cluster))

    assert after["tls.crt"] != before["tls.crt"]
    assert after["ca.crt"] == bundle
