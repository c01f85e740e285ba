"""Build the image from its Dockerfile and run it, where there is no container engine: `make image-check`.

Needs root on Debian, buildah, curl, mmdebstrap and runc. buildah executes the Dockerfile unchanged, by chroot. runc,
which Docker and containerd use too, runs what that made: the image's own user, environment and command, root read-only,
no capabilities, no new privileges, a network of its own, and a tmpfs for state. Where images cannot be pulled, the base
is made of Debian's packages of the same release with the same Python, under the same name; docs/image.md says how that
differs.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tools.image.build import ROOT, Store, arguments_of, build, make_base
from tools.image.container import Running, run_once, running
from tools.image.programs import Failed, require
from tools.image.tree import SOCKETS, STATE, check_tree, sizes

PROGRAMS = {program: program for program in ("buildah", "curl", "mmdebstrap", "runc")}
READY_SECONDS = 60


def wait_until_healthy(container: Running, command: Sequence[str]) -> float:
    """Ask by the image's own health check until it succeeds, and return the seconds that took."""
    began = time.monotonic()
    while True:
        try:
            container.inside(*command)
        except Failed as error:
            if time.monotonic() - began > READY_SECONDS:
                raise Failed(f"it does not get healthy: {error}") from error
            time.sleep(0.05)
        else:
            return time.monotonic() - began


def check_serve(root: Path, image: dict[str, Any]) -> Iterator[str]:
    """Run the sidecar by the image's own command, send events and read them back; yields what was found."""
    health = image["Healthcheck"]["Test"][1:]
    with running(root, image, image["Cmd"]) as container:
        seconds = wait_until_healthy(container, health)
        yield f"serve is healthy after {seconds:.2f} s, by {' '.join(health)}"
        status = container.status()
        who = status["Uid"].split()[0]
        if who != image["User"].split(":")[0] or int(status["CapEff"], 16) or status["NoNewPrivs"] != "1":
            raise Failed(f"it runs as {who}, with capabilities {status['CapEff']}")
        events = json.dumps([{"features": {"amount": float(i), "shop": "a"}, "latency_ms": 5} for i in range(500)])
        ask = ("curl", "--silent", "--show-error", "--fail", "--max-time", "10")
        accepted = container.outside(*ask, "--json", events, "http://127.0.0.1:8000/monitor")
        if json.loads(accepted) != {"accepted": 500, "rejected": 0}:
            raise Failed(f"POST /monitor answers {accepted}")
        metrics = container.outside(*ask, "http://127.0.0.1:9108/metrics").splitlines()
        if 'model_predictions_total{model="default"} 500' not in metrics:
            raise Failed("the web address does not show 500 predictions")
        yield f"as user {who}, without capabilities: POST /monitor takes 500 events, /metrics shows them"
        write = "import pathlib; pathlib.Path('/venv/written').touch()"
        try:
            container.inside("/venv/bin/python", "-c", write)
        except Failed as error:
            if "Read-only file system" not in str(error):
                raise
            yield "writing to its root fails: Read-only file system"
        else:
            raise Failed("its root can be written to")
    arguments = ["serve", f"--ingest.unix-stream={SOCKETS}/stream", "--ingest.listen-address=127.0.0.1:0"]
    if "--storage.path" in run_once(root, image, "serve", "--help"):
        arguments.append(f"--storage.path={STATE}")
    with running(root, image, arguments) as container:
        wait_until_healthy(container, ("/venv/bin/model-sidecar", "health", f"{SOCKETS}/stream"))
        container.inside("test", "-S", f"{SOCKETS}/stream")
        yield f"{' '.join(arguments)}: the socket is there for a startup probe, and answers"


def check_commands(root: Path, image: dict[str, Any]) -> Iterator[str]:
    """Run the other commands of the image; yields what was found."""
    yield f"--version says {run_once(root, image, '--version').strip()}"
    for command in ("rollback", "inject", "rules", "check-config", "health"):
        if f"usage: model-sidecar {command}" not in run_once(root, image, command, "--help"):
            raise Failed(f"{command} --help says something else")
    code = "import numpy, ssl, zoneinfo\n"
    code += "import sidecar.kubernetes.inject.service, sidecar.kubernetes.rollback.cluster.api\n"
    code += "assert (numpy.linalg.inv(numpy.eye(3) * 2) == numpy.eye(3) / 2).all()\n"
    code += "zoneinfo.ZoneInfo('Europe/Berlin'), zoneinfo.ZoneInfo('US/Eastern')\n"
    code += "assert ssl.create_default_context().get_ca_certs()"
    run_once(root, {**image, "Entrypoint": ["/venv/bin/python"]}, "-c", code)
    yield "rollback, inject, rules, check-config and health start; OpenBLAS, time zones and certificates are there"


def check(folder: Path) -> None:
    """Do all of it, and print what was found; raises Failed."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    base, name = arguments_of(dockerfile)["PYTHON_IMAGE"], "localhost/model-sidecar:check"
    store = Store(folder)
    if not store.has(f"docker.io/library/{base}"):
        step(f"make what stands in for {base}", lambda: make_base(store, base, folder))
    step("build the Dockerfile", lambda: build(store, folder, name))
    image = json.loads(store("inspect", "--type=image", name))["Docker"]["config"]
    with store.container(name) as (_, root):
        check_tree(root)
        print("nothing is set-user-ID or writable for others, and there is no shell, compiler, pip or test")
        for check_one in (check_commands, check_serve):
            for found in check_one(root, image):
                print(found)
        parts = sizes(root)
        archive = subprocess.run(f"tar -C {root} -c . | gzip -6 | wc -c", shell=True, check=True, capture_output=True)
        print(f"{sum(size for _, size in parts) / 1e6:.1f} MB, {int(archive.stdout) / 1e6:.1f} MB to pull:")
        for part, size in parts[:12]:
            print(f"{size / 1e6:8.1f} MB  {part}")
        print(f"{sum(size for _, size in parts[12:]) / 1e6:8.1f} MB  {len(parts) - 12} more")


def step(what: str, do: Callable[[], None]) -> None:
    """Say what is done and how long it took."""
    began = time.monotonic()
    print(f"{what} …", flush=True)
    do()
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)


def main() -> int:
    """Check the image; status 1 with what is wrong."""
    parser = argparse.ArgumentParser(description="Build the image and run it, without a container engine.")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/model-sidecar-image"), help="where layers are kept")
    arguments = parser.parse_args()
    try:
        require(PROGRAMS, root="mounts need root: sudo make image-check")
        arguments.work.mkdir(parents=True, exist_ok=True)
        check(arguments.work)
    except Failed as error:
        print(f"tools/image/check.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
