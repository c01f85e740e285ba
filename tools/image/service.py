"""Install the unit of `examples/systemd` in a small Debian and boot that with the real systemd: `make service-check`.

Needs root on Debian, mmdebstrap and systemd-nspawn. Nothing of this machine's own systemd is used or changed.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.image.build import CERTIFICATES, ROOT
from tools.image.programs import Failed, output, require

PROGRAMS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container"}
PACKAGES = "ca-certificates,curl,dbus,procps,python3-venv,systemd-sysv"
PREFIX = "/opt/model-sidecar"
BOOT_SECONDS = 180

# What is done once the service is started; each part of what it prints is asked for below.
SCRIPT = """#!/bin/sh
exec >/root/said 2>&1
show() { systemctl show model-sidecar --property="$1" --value; }
until_started() { for _ in $(seq 100); do [ "$(show ActiveState)" = active ] && return; sleep 0.1; done; }
as() { setpriv --reuid=65534 --regid=65534 "$@"; }
until_started
echo "started: $(show ActiveState) after $(show NRestarts) restarts"
pid=$(show MainPID)
grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' "/proc/$pid/status"
stat -c 'place: %n %A %U %G' /run/model-sidecar /run/model-sidecar/* /var/lib/model-sidecar
event='{"features": {"a": 1}}'
ask="curl -sS -m 5 --unix-socket /run/model-sidecar/stream http://localhost/monitor -d"
echo "stranger: $(as --clear-groups $ask "$event" 2>&1)"
echo "member: $(as --groups="$(getent group model-sidecar | cut -d: -f3)" $ask "$event" 2>&1)"
systemctl reload model-sidecar && sleep 1
kill -KILL "$pid" && sleep 1
until_started
echo "killed: $(show ActiveState) after $(show NRestarts) restarts"
echo "kept: $(curl -sS -m 5 http://127.0.0.1:9108/metrics | grep '^model_predictions_total')"
echo 'models: [{nam: fraud}]' >/etc/model-sidecar/sidecar.yml
systemctl reload model-sidecar && sleep 1
echo "bad: $(show ActiveState), $(/opt/model-sidecar/bin/model-sidecar health)"
systemctl stop model-sidecar
echo "stopped: $(show ActiveState), $(show Result)"
journalctl --unit=model-sidecar --no-pager --output=cat
systemctl exit --force --force
"""
EXPECTED = (
    r"^started: active after 0 restarts$",
    r"^Uid:\s+[1-9]\d*\s",
    r"^CapEff:\s+0+$",
    r"^CapBnd:\s+0+$",
    r"^NoNewPrivs:\s+1$",
    r"^Seccomp:\s+2$",
    r"^place: /run/model-sidecar drwxr-x--- model-sidecar model-sidecar$",
    r"^place: /run/model-sidecar/stream srw-rw---- model-sidecar model-sidecar$",
    r"^place: /run/model-sidecar/datagram srw-rw---- model-sidecar model-sidecar$",
    r"^place: /var/lib/model-sidecar drwx------ model-sidecar model-sidecar$",
    r"^stranger: curl: \(7\)",
    r'^member: \{"accepted":1,"rejected":0\}$',
    r"msg=reloaded models=fraud$",
    r"^killed: active after 1 restarts$",
    r'^kept: model_predictions_total\{model="fraud"\} 1$',
    r"^bad: active, model-sidecar is healthy\.$",
    r'msg="reload failed, going on as before"',
    r"^stopped: inactive, success$",
)


def make_root(root: Path) -> None:
    """Make a Debian of this machine's release, with systemd and a virtual environment."""
    release = re.findall(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)[0]
    output(
        "mmdebstrap", "--variant=minbase", "--format=directory", f"--include={PACKAGES}", release, root, timeout=1800
    )
    shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))  # so that pip trusts whom this machine does
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    in_root(root, "python3", "-m", "venv", PREFIX)


def in_root(root: Path, *command: str) -> None:
    """Run a command in the Debian, without this machine's environment."""
    output("chroot", root, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command, timeout=600)


def install(root: Path) -> None:
    """Install the sidecar, its user and its unit as docs/systemd.md says."""
    source = root / "src"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "sidecar", source / "sidecar", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.lock", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = (f"{PREFIX}/bin/pip", "install", "--quiet")
    in_root(root, *pip, "--require-hashes", "--requirement=/src/requirements.lock")
    in_root(root, *pip, "--no-deps", "--force-reinstall", "/src")
    for place in ("etc/sysusers.d", "etc/systemd/system", "etc/model-sidecar"):
        (root / place).mkdir(parents=True, exist_ok=True)
    units = ROOT / "examples" / "systemd"
    shutil.copy(units / "model-sidecar.sysusers.conf", root / "etc/sysusers.d/model-sidecar.conf")
    shutil.copy(units / "model-sidecar.service", root / "etc/systemd/system")
    (root / "etc/model-sidecar/sidecar.yml").write_text("models: [{name: fraud}]\n")
    shutil.rmtree(root / "var/lib/model-sidecar", ignore_errors=True)
    shutil.rmtree(root / "var/log/journal", ignore_errors=True)
    (root / "root/try").write_text(SCRIPT)
    (root / "root/try").chmod(0o755)
    (root / "root/said").unlink(missing_ok=True)
    (root / "etc/systemd/system/try.service").write_text(
        "[Unit]\nAfter=model-sidecar.service\n[Service]\nType=oneshot\nExecStart=/root/try\n[Install]\nWantedBy=multi-user.target\n"
    )
    in_root(root, "systemd-sysusers")
    in_root(root, "systemctl", "enable", "--quiet", "model-sidecar", "try")


def boot(root: Path) -> str:
    """Boot it on a network of its own until the script has ended, and return what that said."""
    command = [
        "systemd-nspawn",
        "--directory",
        str(root),
        "--boot",
        "--register=no",
        "--keep-unit",
        "--private-network",
    ]
    try:
        subprocess.run(
            [*command, "--console=pipe"],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=BOOT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"it is not done after {BOOT_SECONDS} s") from error
    said = root / "root/said"
    return said.read_text() if said.exists() else ""


def main() -> int:
    """Check the service; status 1 with what is wrong."""
    parser = argparse.ArgumentParser(description="Start the service by a real systemd in a small Debian.")
    parser.add_argument(
        "--root", type=Path, default=Path("/var/tmp/model-sidecar-service"), help="where that Debian is kept"
    )
    root = parser.parse_args().root
    try:
        require(PROGRAMS, root="another Debian needs root: sudo make service-check")
        if not (root / PREFIX.lstrip("/")).exists():
            print("make a Debian …", flush=True)
            make_root(root)
        print("install and boot …", flush=True)
        install(root)
        said = boot(root)
        absent = [pattern for pattern in EXPECTED if not re.search(pattern, said, re.MULTILINE)]
        if absent:
            raise Failed("\n".join([said, "nothing matches:", *absent]))
    except Failed as error:
        print(f"tools/image/service.py: {error}", file=sys.stderr)
        return 1
    print(said.partition("stopped: ")[0].rstrip())
    print("the service starts, is as confined as it says, reloads, comes back after kill -9 with its counts, and stops")
    return 0


if __name__ == "__main__":
    sys.exit(main())
