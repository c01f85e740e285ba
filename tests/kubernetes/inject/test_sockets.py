"""Containers of a pod that run as different users, as processes: who has the group of the sockets gets through."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kubernetes.inject.pods import patched, pod, sidecar_of
from tools.process import started

SIDECAR, APPLICATION = 65532, 10001

LOG = "from model_sidecar_client import Client; m = Client(); m.log({'a': 1.0}); m.close(); print(m.stats().accepted)"


@pytest.fixture(params=[None, 2000], ids=["no fsGroup", "fsGroup"])
def socket_dir(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return an emptyDir as the kubelet makes it, without and with an fsGroup."""
    if os.geteuid() != 0:
        pytest.skip("it takes root to be two users")
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)
    folder = tmp_path / "s"
    folder.mkdir()
    folder.chmod(0o777)
    if request.param is not None:
        os.chown(folder, 0, request.param)
        folder.chmod(0o2777)
    return folder


def as_user(user: int, *groups: int) -> list[str]:
    listed = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
    return ["setpriv", f"--reuid={user}", f"--regid={user}", listed, "--no-new-privs"]


def test_the_application_reaches_the_sidecar_by_the_group_that_is_added(socket_dir: Path, tmp_path: Path) -> None:
    after = patched(pod())
    [group] = after["spec"]["securityContext"]["supplementalGroups"]
    arguments = [text.replace("/run/model-sidecar", str(socket_dir)) for text in sidecar_of(after)["args"]]
    config = tmp_path / "sidecar.yml"
    config.write_text(after["metadata"]["annotations"]["model-sidecar.io/config"])
    arguments = [text for text in arguments if not text.startswith(("--config.file", "--web.listen"))]
    [variable] = after["spec"]["containers"][0]["env"]
    target = variable["value"].replace("/run/model-sidecar", str(socket_dir))
    fs_group = socket_dir.stat().st_gid
    command = [
        *as_user(SIDECAR, group, fs_group),
        sys.executable,
        "-m",
        "sidecar",
        *arguments,
        f"--config.file={config}",
    ]

    probe = sidecar_of(after)["startupProbe"]["exec"]["command"]
    probe = [text.replace("/run/model-sidecar", str(socket_dir)) for text in probe]
    assert subprocess.run(probe, check=False).returncode == 1

    with started(command, tmp_path / "log", listeners=1):
        assert subprocess.run([*as_user(SIDECAR), *probe], check=False).returncode == 0
        answers = [
            subprocess.run(
                [*as_user(APPLICATION, *groups), sys.executable, "-c", LOG],
                env={**os.environ, variable["name"]: target},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            for groups in ((group, fs_group), (APPLICATION,))
        ]

    assert [answer.stdout for answer in answers] == ["1\n", "0\n"], answers
