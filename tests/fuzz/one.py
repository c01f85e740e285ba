"""Fuzz one target in a process of its own: `python -m tests.fuzz.one TARGET FOLDER [-option of libFuzzer…]`.

The target `all` is all of them, in one process: the first byte of an input says which.
"""

import atexit
import signal
import sys
from pathlib import Path

import atheris

from tests.fuzz.mutate import mutated

CORPUS = Path(__file__).parent / "corpus"
LONGEST_BYTES = 4096

# Only what is imported in here is instrumented, so it must not have been imported before.
with atheris.instrument_imports(
    include=["sidecar", "yaml", "tests.fuzz.bodies", "tests.fuzz.labels", "tests.fuzz.state"],
    enable_loader_override=False,
):
    from tests.fuzz.targets import TARGETS

NAMES = tuple(TARGETS)


def main(name: str, folder: str, *options: str) -> None:
    """Fuzz until the bound that the options set; never returns."""
    found = Path(folder)
    found.mkdir(parents=True, exist_ok=True)
    target, seeds = (any_target, _seeds_of_all(found / "seeds")) if name == "all" else (TARGETS[name], CORPUS / name)

    def change(data: bytes, most: int, seed: int) -> bytes:
        head = _head(NAMES[data[0] % len(NAMES)]) + 1 if name == "all" and data else _head(name)
        changed = mutated(data[head:], seed=seed, most=most - head) if seed % 4 else None
        return atheris.Mutate(data, most) if changed is None else data[:head] + changed

    fixed = [f"-max_len={LONGEST_BYTES}", f"-artifact_prefix={found}/", "-timeout=20", "-rss_limit_mb=2048"]
    folders = [str(found), str(seeds)]  # what is new goes into the first
    atheris.Setup([sys.argv[0], *fixed, "-print_final_stats=1", *options, *folders], target, custom_mutator=change)
    # The fuzzer's timer goes on while the interpreter ends, which takes its handler away first.
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
    atheris.Fuzz()


def _head(name: str) -> int:
    """Return the number of bytes before the document."""
    return 1 if name in ("bodies", "columns", "labels") else 0


def any_target(data: bytes) -> None:
    """Give an input to the target that its first byte names."""
    if data:
        TARGETS[NAMES[data[0] % len(NAMES)]](data[1:])


def _seeds_of_all(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for path in CORPUS.rglob("*"):
        if path.is_file():
            number = NAMES.index(path.parent.name)
            (folder / f"{path.parent.name}-{path.name}").write_bytes(bytes([number]) + path.read_bytes())
    return folder


if __name__ == "__main__":
    main(*sys.argv[1:])
