"""The webhook as the API server finds it: a process of its own, TLS with the certificate that the chart makes."""

import asyncio
import base64
import gzip
import io
import json
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.helm.rendering import of_kind, rendered
from tests.kubernetes.inject.pods import annotated, applied, pod, sidecar_of
from tests.kubernetes.inject.reviews import answer_of, review_of
from tests.plugins.programs import model_sidecar
from tools.process import end, started

HOST = "watch-injector.models.svc"
JSON = {"Content-Type": "application/json"}


class Injector(NamedTuple):
    """A running injector, and who signed for it."""

    process: Any
    url: str
    trust: ssl.SSLContext
    directory: Path


def certify(directory: Path) -> ssl.SSLContext:
    """Write what the chart makes to files, and return what the API server trusts: the bundle of the webhook."""
    objects = rendered()
    secret = of_kind(objects, "Secret")["watch-injector-tls"]["data"]
    for name, value in secret.items():
        (directory / name).write_bytes(base64.b64decode(value))
    config = of_kind(objects, "ConfigMap")["watch-injector"]["data"]
    (directory / "inject.yml").write_text(config["inject.yml"])
    (directory / "web.yml").write_text(config["web.yml"].replace("/etc/model-sidecar-tls/", ""))
    [webhook, _] = of_kind(objects, "MutatingWebhookConfiguration")["watch-models"]["webhooks"]
    bundle = base64.b64decode(webhook["clientConfig"]["caBundle"]).decode()
    return ssl.create_default_context(cadata=bundle)


@pytest.fixture(scope="module")
def injector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Injector]:
    directory = tmp_path_factory.mktemp("injector")
    trust = certify(directory)
    with started(
        [
            *(sys.executable, "-m", "sidecar", "inject"),
            f"--config.file={directory / 'inject.yml'}",
            f"--web.config.file={directory / 'web.yml'}",
            *("--web.listen-address=127.0.0.1:0", "--shutdown.linger=1s"),
        ],
        directory / "log",
        listeners=1,
    ) as (process, [address]):
        yield Injector(process, f"https://{address}", trust, directory)


class _Resolver(aiohttp.abc.AbstractResolver):
    """Find the Service where the injector listens."""

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """Have nothing to close."""


def service(injector: Injector) -> str:
    return f"https://{HOST}:{urlsplit(injector.url).port}"


@pytest.fixture
async def session(injector: Injector) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=injector.trust, resolver=_Resolver(), limit=1)
    async with aiohttp.ClientSession(connector=connector) as made:
        yield made


async def metric(injector: Injector, session: aiohttp.ClientSession, name: str, **labels: str) -> float:
    text = await (await session.get(f"{service(injector)}/metrics")).text()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    raise AssertionError(f"{name} is not in {text}")


async def test_reviews_are_answered_over_one_connection_by_the_name_of_the_service(
    injector: Injector, session: aiohttp.ClientSession
) -> None:
    document = annotated(pod(), model="fraud")
    before = await metric(injector, session, "model_sidecar_inject_reviews_total", outcome="patched")
    for i in range(20):
        async with session.post(
            f"{service(injector)}/mutate?timeout=5s", data=json.dumps(review_of(document, uid=str(i))), headers=JSON
        ) as reply:
            answer = answer_of(await reply.read())
            assert (reply.status, reply.content_type) == (200, "application/json")
        assert (answer["uid"], answer["allowed"]) == (str(i), True)
        assert sidecar_of(applied(document, answer["patch"]))["name"] == "model-sidecar"

    after = await metric(injector, session, "model_sidecar_inject_reviews_total", outcome="patched")
    assert after - before == 20
    assert session.connector is not None
    assert len(session.connector._conns) == 1


async def test_who_does_not_trust_the_authority_of_the_chart_is_not_served(injector: Injector) -> None:
    connector = aiohttp.TCPConnector(resolver=_Resolver())
    async with aiohttp.ClientSession(connector=connector) as stranger:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await stranger.post(f"{service(injector)}/mutate", data=b"{}")


async def test_compressed_reviews_are_read(injector: Injector, session: aiohttp.ClientSession) -> None:
    body = gzip.compress(json.dumps(review_of(pod())).encode())
    async with session.post(
        f"{service(injector)}/mutate", data=body, headers={**JSON, "Content-Encoding": "gzip"}
    ) as reply:
        assert "patch" in answer_of(await reply.read())


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{" * 50_000, {}, 400),
        (b" " * 4_500_000, {}, 413),
        (gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"}, 413),
        (b"not gzip", {"Content-Encoding": "gzip"}, 400),
    ],
    ids=["empty", "deep", "large", "bomb", "not-gzip"],
)
async def test_hostile_bodies_are_refused_and_counted(
    injector: Injector, session: aiohttp.ClientSession, body: bytes, headers: dict[str, str], status: int
) -> None:
    before = await metric(injector, session, "model_sidecar_inject_refused_requests_total", code=str(status))

    async with session.post(f"{service(injector)}/mutate", data=io.BytesIO(body), headers={**JSON, **headers}) as reply:
        assert reply.status == status

    after = await metric(injector, session, "model_sidecar_inject_refused_requests_total", code=str(status))
    assert after - before == 1
    assert "Traceback" not in (injector.directory / "log").read_text()


async def test_a_reason_is_told_counted_and_logged(injector: Injector, session: aiohttp.ClientSession) -> None:
    before = await metric(injector, session, "model_sidecar_inject_reviews_total", outcome="bad_annotation")
    document = annotated(pod(), windows="5 minutes")

    async with session.post(f"{service(injector)}/mutate", data=json.dumps(review_of(document))) as reply:
        answer = answer_of(await reply.read())

    told = "model-sidecar.io/windows: '5 minutes' is not allowed: 1 to 8 durations such as 5m,1h,24h"
    assert answer == {"uid": "705ab4f5", "allowed": True, "warnings": [f"model-sidecar: not injected: {told}"]}
    after = await metric(injector, session, "model_sidecar_inject_reviews_total", outcome="bad_annotation")
    assert after - before == 1
    assert "outcome=bad_annotation" in (injector.directory / "log").read_text()


async def test_it_says_that_it_stops_and_still_answers_for_a_while(tmp_path: Path) -> None:
    trust = certify(tmp_path)
    with started(
        [
            *(sys.executable, "-m", "sidecar", "inject", "--web.listen-address=127.0.0.1:0"),
            *(f"--web.config.file={tmp_path / 'web.yml'}", "--shutdown.linger=1h"),
        ],
        tmp_path / "log",
        listeners=1,
    ) as (process, [address]):
        one = Injector(process, f"https://{address}", trust, tmp_path)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, resolver=_Resolver())) as session:
            assert (await session.get(f"{service(one)}/-/ready")).status == 200
            process.terminate()
            async with asyncio.timeout(30):
                while (await session.get(f"{service(one)}/-/ready")).status != 503:
                    """Ask again until the signal has arrived."""
            async with session.post(f"{service(one)}/mutate", data=json.dumps(review_of(pod()))) as reply:
                assert "patch" in answer_of(await reply.read())
            assert (await session.get(f"{service(one)}/-/healthy")).status == 200
        process.kill()


def test_it_ends_with_success(injector: Injector) -> None:
    end(injector.process)

    assert injector.process.returncode == 0


def test_settings_and_web_configuration_can_be_checked(tmp_path: Path) -> None:
    certify(tmp_path)
    options = (f"--config.file={tmp_path / 'inject.yml'}", f"--web.config.file={tmp_path / 'web.yml'}")

    assert model_sidecar("inject", "--check", *options).stdout == f"{tmp_path / 'inject.yml'}: OK\n"

    settings = yaml.safe_load((tmp_path / "inject.yml").read_text())
    (tmp_path / "inject.yml").write_text(yaml.safe_dump({**settings, "port": 80}))
    result = model_sidecar("inject", "--check", *options)
    assert (result.returncode, result.stderr.splitlines()[-1]) == (
        1,
        f"model-sidecar: {tmp_path / 'inject.yml'}: port: 80 is not allowed: 1024 to 65535",
    )
