"""Write what a command of `reference` made, and say in one line what that is."""

import sys
from collections.abc import Callable
from pathlib import Path

from sidecar.cli.terminal import printable, tell, unwritable
from sidecar.reference import Profile, ProfileError, save
from sidecar.reference.fitness import shortcomings
from sidecar.reference.profile import dump


def write(profile: Profile, output: Path | None) -> None:
    """Write a profile to a file, or to standard output; raises ProfileError."""
    if output is None:
        sys.stdout.buffer.write(dump(profile))
    else:
        to_file(output, lambda path: save(profile, path))
    to = "" if output is None else f"{output}: "
    by_season = "" if profile.season is None else f" by {profile.season}"
    for sentence in shortcomings(profile):
        tell(printable(sentence))
    tell(f"{to}{len(profile.features)} features of {profile.rows} rows{by_season}, reference {profile.fingerprint}")


def require_place(path: Path | None) -> None:
    """Refuse an output that cannot be written, before there is work in it; raises ProfileError."""
    if path is not None and (problem := unwritable(path)):
        raise ProfileError(problem)


def to_file(path: Path, writer: Callable[[Path], object]) -> None:
    """Write a file; raises ProfileError where that cannot be."""
    try:
        writer(path)
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror or error}") from error
