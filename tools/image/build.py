"""Executing the Dockerfile by buildah, which needs no daemon, on a base that stands in where none can be pulled."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.image.programs import Failed, output

ROOT = Path(__file__).parents[2]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BASE_PACKAGES = "ca-certificates,netbase,tzdata,python{version}-venv"


class Store:
    """Images and containers of buildah, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._buildah = ("buildah", "--root", folder / "store", "--runroot", folder / "run")

    def __call__(self, *arguments: str | Path) -> str:
        """Run buildah."""
        return output(*self._buildah, *arguments, timeout=1800).strip()

    def has(self, image: str) -> bool:
        """Say whether an image is there."""
        return image in self("images", "--noheading", "--format", "{{.Name}}:{{.Tag}}").split()

    @contextmanager
    def container(self, image: str) -> Iterator[tuple[str, Path]]:
        """Make a container of an image, and mount it."""
        name = self("from", "--pull=never", image)
        try:
            yield name, Path(self("mount", name))
        finally:
            self("umount", name)
            self("rm", name)


def arguments_of(dockerfile: str) -> dict[str, str]:
    """Return the arguments of a Dockerfile that have defaults."""
    lines = (line.removeprefix("ARG ") for line in dockerfile.splitlines() if line.startswith("ARG "))
    return dict(line.split("=", 1) for line in lines if "=" in line)


def make_base(store: Store, image: str, folder: Path) -> None:
    """Make what stands in for `python:X.Y-slim-RELEASE`: Debian's Python of that release, moved to /usr/local."""
    name, _, tag = image.rpartition("/")[2].partition(":")
    version, _, release = tag.split("@")[0].partition("-slim-")
    if name != "python" or not release:
        raise Failed(f"{image}: only python:X.Y-slim-RELEASE can be stood in for")
    archive = folder / f"{tag}.tar"
    packages = BASE_PACKAGES.format(version=version)
    output("mmdebstrap", "--variant=minbase", f"--include={packages}", release, archive, timeout=1800)
    container = store("from", "scratch")
    root = Path(store("mount", container))
    output("tar", "-C", root, "--exclude=./dev", "-xpf", archive)
    archive.unlink()
    (root / "dev").mkdir()
    library, program = root / f"usr/local/lib/python{version}", root / "usr/local/bin"
    shutil.rmtree(library, ignore_errors=True)
    (root / f"usr/lib/python{version}").rename(library)
    (root / f"usr/bin/python{version}").rename(program / f"python{version}")
    (program / "python3").symlink_to(f"python{version}")
    (program / "python").symlink_to("python3")
    path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    store("config", "--env", f"PATH={path}", "--env", "LANG=C.UTF-8", "--cmd", "python3", container)
    store("umount", container)
    store("commit", "--quiet", container, f"docker.io/library/{image}")
    store("rm", container)


def build(store: Store, folder: Path, image: str) -> None:
    """Execute the Dockerfile up to the stage of the sidecar, with the certificates that this machine trusts for pip."""
    settings = folder / "pip.conf"
    settings.write_text("[global]\ncert = /host-certificates\ndisable-pip-version-check = true\n")
    store(
        "bud", "--isolation=chroot", "--pull=never", "--layers", "--format=docker", "--target=sidecar",
        f"--volume={settings}:/etc/pip.conf:ro", f"--volume={CERTIFICATES}:/host-certificates:ro",
        f"--tag={image}", f"--file={ROOT / 'Dockerfile'}", ROOT,
    )  # fmt: skip
