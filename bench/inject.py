"""The admission webhook: what a review costs the process, and how long 200 a second take over TLS."""

import asyncio
import json
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import trustme

from bench.measure import cpu_seconds, resident_mebibytes
from sidecar.kubernetes.inject.review import review
from sidecar.kubernetes.inject.settings import Settings
from tools.process import started

RATE = 200
SECONDS = 10
CONNECTIONS = 4
ALONE = 2000

_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "generateName": "fraud-7d9c5b-",
        "labels": {"app": "fraud", "model-sidecar.io/inject": "true"},
        "annotations": {"model-sidecar.io/model": "fraud", "model-sidecar.io/reference-configmap": "fraud-profile"},
        "managedFields": [{"manager": "kube-controller-manager", "fieldsV1": {f"f:field-{i}": {} for i in range(100)}}],
    },
    "spec": {
        "containers": [
            {"name": name, "image": f"{name}:1", "env": [{"name": f"V{i}", "value": "x"} for i in range(20)]}
            for name in ("server", "worker", "istio-proxy")
        ],
        "volumes": [{"name": f"volume-{i}", "emptyDir": {}} for i in range(5)],
    },
}
_REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "CREATE",
        "namespace": "models",
        "object": _POD,
    },
}


def main() -> None:
    """Print what a review costs, and latencies at the pace of a large rollout."""
    body = json.dumps(_REVIEW).encode()
    print(f"inject: admission reviews of {len(body) / 1024:.1f} KiB with three containers")
    began = time.process_time()
    for _ in range(ALONE):
        review(body, Settings())
    print(f"  {'body to answer, in the process':<40}{(time.process_time() - began) / ALONE * 1e6:>9.0f} µs")
    with tempfile.TemporaryDirectory() as name, _injector(Path(name)) as (pid, address, trust):
        before = cpu_seconds(pid)
        taken = sorted(asyncio.run(_paced(f"https://{address}/mutate", body, trust)))
        cpu = (cpu_seconds(pid) - before) / len(taken)
        late = taken[int(0.99 * len(taken))] * 1000
        print(f"  {f'{RATE} a second over TLS, {len(taken)} in all':<40}{'median':>9}{'p99':>9}{'most':>9}{'cpu':>9}")
        print(
            f"  {'from when it is due to the answer, ms':<40}{statistics.median(taken) * 1000:>9.1f}{late:>9.1f}"
            f"{taken[-1] * 1000:>9.1f}{cpu * 1000:>9.2f}"
        )
        print(f"  {'memory of the process':<40}{resident_mebibytes(pid):>9.0f} MiB")
    print(f"  p99 {'is' if late < 50 else 'IS NOT'} below 50 ms")


@contextmanager
def _injector(directory: Path) -> Iterator[tuple[int, str, ssl.SSLContext]]:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(directory / "tls.key")
    issued.cert_chain_pems[0].write_to_path(directory / "tls.crt")
    (directory / "web.yml").write_text("tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    command = [sys.executable, "-m", "sidecar", "inject", f"--web.config.file={directory / 'web.yml'}"]
    command += ["--web.listen-address=127.0.0.1:0", "--shutdown.linger=0s"]
    with started(command, directory / "log", listeners=1) as (process, [address]):
        yield process.pid, address, trust


async def _paced(url: str, body: bytes, trust: ssl.SSLContext) -> list[float]:
    """Send reviews when they are due, whether or not those before are answered; returns seconds of each."""
    connector = aiohttp.TCPConnector(ssl=trust, limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(due: float) -> float:
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as reply:
                answer = await reply.read()
                if reply.status != 200 or b'"patch"' not in answer:
                    raise RuntimeError(f"{reply.status}: {answer[:200]!r}")
            return time.perf_counter() - due

        await asyncio.gather(*(ask(time.perf_counter()) for _ in range(CONNECTIONS)))
        start = time.perf_counter()
        asked: list[asyncio.Task[float]] = []
        for i in range(RATE * SECONDS):
            due = start + i / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asked.append(asyncio.create_task(ask(due)))
        return list(await asyncio.gather(*asked))
