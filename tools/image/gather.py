"""Gather what the sidecar needs to run under a folder, and nothing else: `python gather.py FOLDER`.

A stage of the Dockerfile runs it, and the folder becomes the whole file system of the image. It gets Python, the
virtual environment, the shared libraries that these load (by `ldd`), certificates, and a user without rights. It
gets no shell, no package manager, no compiler, no pip, no tests and nothing set-user-ID.
"""

import compileall
import py_compile
import shutil
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

VENV = Path("/venv")
USER = 65532
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))

# Left out of the standard library, by path; what needs a terminal, a display, a compiler or a library of its own.
UNUSED_STANDARD_LIBRARY = (
    "__phello__", "config-*", "curses", "dbm", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages",
    "sqlite3", "test", "tkinter", "turtle.py", "turtledemo", "venv",
    "lib-dynload/_curses*", "lib-dynload/_dbm*", "lib-dynload/_gdbm*", "lib-dynload/_sqlite3*", "lib-dynload/_test*",
    "lib-dynload/_tkinter*", "lib-dynload/readline*", "lib-dynload/xx*",
)  # fmt: skip
# Left out of the installed packages, by path.
UNUSED_PACKAGES = ("pip", "pip-*", "numpy/f2py", "numpy/random/_examples", "numpy/_core/include", "numpy/_pyinstaller")
# Left out everywhere, by name: tests, bytecode (made again below), and what only compilers and type checkers read.
UNUSED_NAMES = (
    "tests", "__pycache__", "*.pyc", "*.pyi", "*.pyx", "*.pxd", "*.pxi", "*.pyx.hash", "*.c", "*.h", "*.a", "py.typed"
)  # fmt: skip

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
# What is read at run time and no library: certificates for Kubernetes and webhooks, names of hosts, what scanners know
# the distribution by; `test` for startup probes, which look for the socket. Time zones are those of PyPI's tzdata,
# which has all names; Debian's leaves out such as US/Eastern.
FILES = (
    CERTIFICATES, "/etc/debian_version", "/etc/ld.so.conf", "/etc/nsswitch.conf", "/etc/os-release", "/etc/services",
    "/usr/bin/test",
)  # fmt: skip
FOLDERS = ("/etc/ld.so.conf.d",)
PACKAGES_OF_FOLDERS = ("base-files", "ca-certificates")

# Debug information is most of what some packages ship. Libraries that other tools have put into wheels do not survive
# being stripped.
NOT_STRIPPED = "*.libs"


def main(root: Path) -> None:
    """Fill the folder, which must not be there yet."""
    for name in ("etc", "run", "usr/bin", "usr/lib", "var/lib"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        if (Path("/") / name).is_symlink():
            (root / name).symlink_to((Path("/") / name).readlink())
    programs = [VENV / "bin/python", VENV / "bin/model-sidecar", VENV / "pyvenv.cfg"]
    trees = [*wanted(STANDARD_LIBRARY, UNUSED_STANDARD_LIBRARY)]
    for packages in VENV.glob("lib/python*/site-packages"):
        trees += wanted(packages, UNUSED_PACKAGES)
    data = [Path(name) for name in FILES if Path(name).exists()]
    data += [path for folder in FOLDERS for path in Path(folder).rglob("*") if not path.is_dir()]
    files = [*programs, *trees, *data]
    libraries = shared_libraries(files)
    for path in [*files, *libraries]:
        bring(path, root)
    trusted = root / Path(ssl.get_default_verify_paths().openssl_cafile).relative_to("/")  # where OpenSSL looks
    trusted.parent.mkdir(parents=True)
    trusted.symlink_to(CERTIFICATES)
    strip(root / VENV.relative_to("/"))
    for tree in (STANDARD_LIBRARY, VENV):
        compile_in(root, tree)
    describe_packages(root, {*libraries, *(path for path in data if path.is_relative_to("/usr/bin"))})
    (root / "etc/passwd").write_text(f"root:x:0:0:root:/:/none\nnonroot:x:{USER}:{USER}:nonroot:/:/none\n")
    (root / "etc/group").write_text(f"root:x:0:\nnonroot:x:{USER}:\n")
    output("ldconfig", "-r", root)
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def output(*command: str | Path) -> str:
    """Run a program of the system and return what it prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def wanted(tree: Path, unused: Iterable[str]) -> Iterator[Path]:
    """Yield the files of a tree, without those whose path in it or whose name matches a pattern."""
    for path in sorted(tree.iterdir()):
        yield from _wanted(path, tree, tuple(unused))


def _wanted(path: Path, tree: Path, unused: tuple[str, ...]) -> Iterator[Path]:
    inside = str(path.relative_to(tree))
    if any(fnmatch(inside, pattern) for pattern in unused) or any(fnmatch(path.name, name) for name in UNUSED_NAMES):
        return
    if path.is_dir():
        for child in sorted(path.iterdir()):
            yield from _wanted(child, tree, unused)
    else:
        yield path


def shared_libraries(files: Iterable[Path]) -> list[Path]:
    """Return the libraries outside of these files that they load, and the loader itself."""
    here = {path.resolve() for path in files}
    found: set[Path] = set()
    for path in sorted(here):
        with path.open("rb") as stream:
            if stream.read(4) != b"\x7fELF":
                continue
        for line in output("ldd", path).splitlines():
            if "not found" in line:
                raise SystemExit(f"{path} needs {line.strip()}")
            words = line.split()
            name = words[2] if "=>" in words else words[0]
            if name.startswith("/") and Path(name).resolve() not in here:
                found.add(Path(name))
    return sorted(found)


def bring(path: Path, root: Path) -> None:
    """Copy a file to the same path under the folder, and what it is a link to."""
    path = path.parent.resolve() / path.name
    there = root / path.relative_to("/")
    if there.exists() or there.is_symlink():
        return
    there.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        there.symlink_to(path.readlink())
        bring(path.parent / path.readlink(), root)
    else:
        shutil.copy2(path, there)


def strip(tree: Path) -> None:
    """Take debug information out of the compiled modules of the installed packages."""
    for path in tree.rglob("*.so"):
        if not any(fnmatch(parent.name, NOT_STRIPPED) for parent in path.parents):
            output("strip", "--strip-debug", path)


def compile_in(root: Path, tree: Path) -> None:
    """Write bytecode, as the file system cannot be written to later; it is never checked against the source."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    there = root / tree.relative_to("/")
    if not compileall.compile_dir(there, stripdir=root, prependdir="/", quiet=1, workers=0, invalidation_mode=mode):
        raise SystemExit(f"not everything in {tree} compiles")


def describe_packages(root: Path, files: set[Path]) -> None:
    """Say which Debian packages the files are of, where scanners look in images without dpkg; with their copyright."""
    names = set(PACKAGES_OF_FOLDERS)
    for path in files:
        names |= set(owners(path))
    status = root / "var/lib/dpkg/status.d"
    status.mkdir(parents=True)
    for name in sorted(names):
        (status / name.partition(":")[0]).write_text(output("dpkg-query", "--status", name))
        copyright_ = Path("/usr/share/doc") / name.partition(":")[0] / "copyright"
        if copyright_.exists():
            bring(copyright_, root)


def owners(path: Path) -> list[str]:
    """Return the Debian packages of a file, by either path it may be recorded under; none for Python of /usr/local."""
    real = path.resolve()
    names = [real, Path("/") / real.relative_to("/usr")] if real.is_relative_to("/usr") else [real]
    for name in names:
        found = subprocess.run(["dpkg-query", "--search", name], check=False, capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.rpartition(": ")[0].split(", ")
    return []


if __name__ == "__main__":
    main(Path(sys.argv[1]))
