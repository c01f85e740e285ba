"""Running a container by runc, the runtime below Docker and containerd, as strictly as restricted pods are."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.image.programs import Failed, output
from tools.image.tree import SOCKETS, STATE


class Running:
    """A container that runs: for commands inside of it, and for commands of this machine on its network."""

    def __init__(self, name: str, log: Path) -> None:
        self._name = name
        self.log = log
        self._pid = str(json.loads(output("runc", "state", name))["pid"])

    def inside(self, *command: str) -> str:
        """Run a command in the container, as its user."""
        return output("runc", "exec", self._name, *command)

    def outside(self, *command: str) -> str:
        """Run a command of this machine on the network of the container."""
        return output("nsenter", "--target", self._pid, "--net", *command)

    def status(self) -> dict[str, str]:
        """Return what the kernel says of the process."""
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def bundle(root: Path, folder: Path, image: dict[str, Any], arguments: Sequence[str]) -> None:
    """Write the OCI bundle of a container as strict as a pod of the restricted Pod Security Standard."""
    output("runc", "spec", "--bundle", folder)
    path = folder / "config.json"
    spec = json.loads(path.read_text())
    uid, _, gid = image["User"].partition(":")
    spec["process"] |= {
        "terminal": False,
        "user": {"uid": int(uid), "gid": int(gid)},
        "args": [*image["Entrypoint"], *arguments],
        "env": image["Env"],
        "cwd": image.get("WorkingDir") or "/",
        "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")},
        "noNewPrivileges": True,
    }
    spec["root"] = {"path": str(root), "readonly": True}
    for place in (STATE, SOCKETS):
        options = ["nosuid", "nodev", "noexec", "mode=0700", f"uid={uid}", f"gid={gid}"]
        spec["mounts"].append({"destination": place, "type": "tmpfs", "source": "tmpfs", "options": options})
    path.write_text(json.dumps(spec))


@contextmanager
def running(root: Path, image: dict[str, Any], arguments: Sequence[str]) -> Iterator[Running]:
    """Run a container until the block ends."""
    name = f"model-sidecar-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        bundle(root, Path(folder), image, arguments)
        log = Path(folder) / "log"
        with log.open("w") as lines:
            subprocess.run(
                ["runc", "run", "--detach", "--bundle", folder, name], check=True, stdout=lines, stderr=lines
            )
        try:
            container = Running(name, log)
            container.outside("ip", "link", "set", "lo", "up")
            yield container
        except Failed as error:
            raise Failed(f"{error}\n{log.read_text()}") from error
        finally:
            output("runc", "delete", "--force", name)


def run_once(root: Path, image: dict[str, Any], *arguments: str) -> str:
    """Run a command that ends by itself in a container, and return what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        bundle(root, Path(folder), image, arguments)
        return output("runc", "run", "--bundle", folder, f"model-sidecar-once-{os.getpid()}")
