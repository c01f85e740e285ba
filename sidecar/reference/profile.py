"""The reference profile: a small JSON file of bins and counts for every feature and output."""

import hashlib
import math
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidecar.base.configfile import shown
from sidecar.base.files import read_regular
from sidecar.events.batch import UNFIT_NAME
from sidecar.statistics import drift
from sidecar.statistics.bins import CategoricalBins, NumericBins
from sidecar.statistics.season import Season, SeasonError, zone

Role = Literal["input", "output"]
OUTPUTS = ("prediction", "probability")
MOST_ROWS = 2**53
"""Fewer rows than this have counts that are exact as doubles too."""

_MOST_SEASON_COUNT = 2**32 - 1

MOST_BYTES = 256 * 2**20
"""Longest file of a profile or of a summary that is read."""

EARLIER_SMOOTHING = "jeffreys-to-reference"
"""Of files from before it was written down. Its design effects are taken: they are ratios, and about the same."""

MOST_CHARACTERS = 10_000
"""Longest name, category or other text of a profile: each is a label of many series."""


class ProfileError(Exception):
    """A reference profile, or the data to build one from, cannot be used; the message says why in one sentence."""


class _Feature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    name: str
    role: Role = "input"
    counts: tuple[int, ...]
    missing: int
    design_effect: float = 1.0
    thin_effect: float = 1.0
    season_counts: bytes = b""
    """Little-endian uint32 of shape `(slots, bins)`: the counts of each slot of the season; nothing without one."""

    def significance_factor(self, alpha: float) -> float:
        """Return the factor by which the smallest PSI that means anything is found, of all bins."""
        return drift.significance_factor(
            self.size(), alpha=alpha, design_effect=self.design_effect, thin_effect=self.thin_effect
        )

    def size(self) -> int:
        """Return the number of bins, `missing` included."""
        return len(self.counts) + 1


class NumericProfile(_Feature, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="numeric"):
    """A numeric feature: inner `edges`, a count for each bin between them, and statistics of the finite values."""

    edges: tuple[float, ...]
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None

    def bins(self) -> NumericBins:
        """Return the bins that live values are counted in."""
        return NumericBins(self.edges)

    def bin_counts(self) -> tuple[int, ...]:
        """Return the reference count of every bin, in the order of `bins()`."""
        return (*self.counts, self.missing)


class CategoricalProfile(_Feature, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="categorical"):
    """A categorical feature: its most common `categories`, a count for each, and one for all `other` values."""

    categories: tuple[str, ...]
    other: int

    def size(self) -> int:
        """Return the number of bins, `other` and `missing` included."""
        return len(self.counts) + 2

    def bins(self) -> CategoricalBins:
        """Return the bins that live values are counted in."""
        return CategoricalBins(self.categories)

    def bin_counts(self) -> tuple[int, ...]:
        """Return the reference count of every bin, in the order of `bins()`."""
        return (*self.counts, self.other, self.missing)


FeatureProfile = NumericProfile | CategoricalProfile


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """A reference: where it came from and a profile of every feature and output.

    With a `season`, `season_rows` are the rows in each of its slots, and every feature has its counts by slot.
    """

    version: Literal[1] = 1
    model: str = ""
    model_version: str = ""
    source: str = ""
    created: Annotated[datetime, msgspec.Meta(tz=True)]
    rows: int
    window_rows: int = 0
    smoothing: str = drift.SMOOTHING
    """Of the PSI that the design effects were found with."""
    parts: tuple[str, ...] = ()
    """Fingerprints of the profiles that were merged into this one."""
    season: Season | None = None
    season_rows: tuple[int, ...] = ()
    features: tuple[FeatureProfile, ...]

    @cached_property
    def fingerprint(self) -> str:
        """First 8 hexadecimal digits of the SHA-256 over names, roles, bins and counts, those by season too."""
        content: list[object] = [
            [f.role, f.name, f.edges if isinstance(f, NumericProfile) else f.categories, f.bin_counts()]
            for f in self.features
        ]
        if self.season is not None:
            content += [self.season, self.season_rows, [f.season_counts for f in self.features]]
        return hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:8]

    @property
    def inputs(self) -> tuple[FeatureProfile, ...]:
        """Profiles of the model's inputs."""
        return tuple(f for f in self.features if f.role == "input")

    def output(self, name: str) -> FeatureProfile | None:
        """Return the profile of `prediction` or `probability`, or None."""
        return next((f for f in self.features if f.role == "output" and f.name == name), None)


def season_counts(feature: FeatureProfile, season: Season) -> NDArray[np.uint32]:
    """Return the counts of a feature in every slot of the season, shape `(slots, bins)`."""
    return np.frombuffer(feature.season_counts, "<u4").reshape(season.slots, -1)


def season_bytes(counts: NDArray[np.int64]) -> bytes:
    """Return what `season_counts` reads of counts of shape `(slots, bins)`; raises ProfileError for one too large."""
    most = int(counts.max(initial=0))
    if most > _MOST_SEASON_COUNT:
        raise ProfileError(f"a bin has {most} rows in one hour of the season, more than {_MOST_SEASON_COUNT}")
    return counts.astype("<u4").tobytes()


def load(path: Path) -> Profile:
    """Read and check a profile; raises ProfileError with the file, the place and what is wrong."""
    try:
        content = read_regular(path, most_bytes=MOST_BYTES)
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ProfileError(f"{str(path)!r}: it cannot be the name of a file: {error}") from error
    return parse(content, source=str(path))


def load_bins(path: Path) -> Profile:
    """Read a profile for its bins alone, so that one without rows will do; raises ProfileError."""
    try:
        return parse(read_regular(path, most_bytes=MOST_BYTES), source=str(path), without_rows=True)
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror or error}") from error


def parse(content: bytes, *, source: str, without_rows: bool = False) -> Profile:
    """Decode and check the JSON of a profile; `source` names it in errors."""
    try:
        document = msgspec.json.decode(content)
        fingerprint = document.pop("fingerprint", None) if isinstance(document, dict) else None
        if isinstance(document, dict):
            document.setdefault("smoothing", EARLIER_SMOOTHING)
        profile = msgspec.convert(document, Profile)
        check(profile, without_rows=without_rows)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise ProfileError(f"{source}: not a reference profile: {error}") from error
    except ProfileError as error:
        raise ProfileError(f"{source}: {error}") from error
    if fingerprint is not None and fingerprint != profile.fingerprint:
        raise ProfileError(
            f"{source}: fingerprint is {fingerprint!r} but the content has {profile.fingerprint!r}: edited by hand?"
        )
    return profile


def dump(profile: Profile) -> bytes:
    """Encode a profile as JSON, indented and in a stable order, so that two of them can be compared by eye."""
    document = msgspec.to_builtins(profile)
    ordered = {"version": document.pop("version"), "fingerprint": profile.fingerprint} | document
    ordered["created"] = profile.created.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    features = ordered.pop("features")
    if not profile.parts:
        del ordered["parts"]
    if profile.season is None:
        del ordered["season"], ordered["season_rows"]
        for feature in features:
            del feature["season_counts"]
    head = msgspec.json.format(msgspec.json.encode(ordered), indent=2).removesuffix(b"\n}")
    lines = b",\n".join(b"    " + msgspec.json.format(msgspec.json.encode(f), indent=0) for f in features)
    return head + b',\n  "features": [\n' + lines + b"\n  ]\n}\n"


def save(profile: Profile, path: Path) -> None:
    """Write a profile, replacing the file in one step."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(dump(profile))
    beside.replace(path)


def check(profile: Profile, *, without_rows: bool = False) -> None:
    """Refuse a profile whose parts contradict each other, or that is of no rows unless `without_rows`."""
    if not profile.features:
        raise ProfileError("it has no features")
    for what in ("model", "model_version", "source"):
        _check_length(getattr(profile, what), what)
    seen: set[tuple[str, str]] = set()
    for feature in profile.features:
        _check_length(feature.name, "the name of a feature")
        where = f"{feature.role} {feature.name!r}"
        if (feature.role, feature.name) in seen:
            raise ProfileError(f"{where} is there twice")
        seen.add((feature.role, feature.name))
        if not feature.name:
            raise ProfileError("a feature has no name")
        if UNFIT_NAME.search(feature.name):
            raise ProfileError(f"{where}: a name holds no quotes, backslashes or control characters")
        if feature.role == "output" and feature.name not in OUTPUTS:
            raise ProfileError(f"{where}: an output is named prediction or probability")
        if feature.name == "probability" and feature.role == "output" and isinstance(feature, CategoricalProfile):
            raise ProfileError(f"{where}: a probability is numeric")
        if feature.name == "probability" and feature.role == "output" and isinstance(feature, NumericProfile):
            for bound in (feature.min, feature.max):
                if bound is not None and not 0 <= bound <= 1:
                    raise ProfileError(f"{where}: {bound:g} is not in [0, 1]")
        _check_bins(feature, where)
        counts = feature.bin_counts()
        if min(counts) < 0:
            raise ProfileError(f"{where}: a count is negative")
        if sum(counts) != profile.rows:
            raise ProfileError(f"{where}: counts add up to {sum(counts)}, not to the {profile.rows} rows")
        for name, effect in (("design_effect", feature.design_effect), ("thin_effect", feature.thin_effect)):
            if not (math.isfinite(effect) and effect >= 1):
                raise ProfileError(f"{where}: {name} is {effect}, not a number of at least 1")
    _check_season(profile)
    if profile.smoothing not in (drift.SMOOTHING, EARLIER_SMOOTHING):
        raise ProfileError(
            f"its design effects are of a PSI smoothed as {shown(profile.smoothing)}, not as {drift.SMOOTHING!r}: "
            "build it again"
        )
    if not 1970 <= profile.created.year < 9999:
        raise ProfileError(f"created is {profile.created.isoformat()}, not a time since 1970")
    if profile.rows < 1 and not (without_rows and profile.rows == 0):
        raise ProfileError("it was built from no rows")
    if profile.rows >= MOST_ROWS:
        raise ProfileError("more rows than can be counted")


def _check_season(profile: Profile) -> None:
    season = profile.season
    if season is None:
        if profile.season_rows or any(feature.season_counts for feature in profile.features):
            raise ProfileError("it has counts by season without a season")
        return
    try:
        zone(season.time_zone)
    except SeasonError as error:
        raise ProfileError(str(error)) from error
    if len(profile.season_rows) != season.slots:
        raise ProfileError(f"season_rows has {len(profile.season_rows)} numbers for {season.slots} slots")
    for feature in profile.features:
        where, counts = f"{feature.role} {feature.name!r}", feature.bin_counts()
        if len(feature.season_counts) != 4 * season.slots * len(counts):
            raise ProfileError(f"{where}: season_counts is not of {season.slots} slots and {len(counts)} bins")
        by_slot = season_counts(feature, season)
        if tuple(by_slot.sum(axis=1, dtype=np.int64).tolist()) != profile.season_rows:
            raise ProfileError(f"{where}: season_counts do not add up to season_rows")
        if (by_slot.sum(axis=0, dtype=np.int64) > counts).any():
            raise ProfileError(f"{where}: season_counts add up to more than counts")


def _check_length(text: str, what: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise ProfileError(f"{what} has {len(text)} characters, more than {MOST_CHARACTERS}")


def _check_bins(feature: FeatureProfile, where: str) -> None:
    if isinstance(feature, NumericProfile):
        expected = len(feature.edges) + 1
        if any(not math.isfinite(edge) for edge in feature.edges):
            raise ProfileError(f"{where}: an edge is not finite")
        if any(low >= high for low, high in zip(feature.edges, feature.edges[1:], strict=False)):
            raise ProfileError(f"{where}: edges do not increase")
    else:
        expected = len(feature.categories)
        for category in feature.categories:
            _check_length(category, f"{where}: a category")
        if len(set(feature.categories)) != expected:
            raise ProfileError(f"{where}: a category is there twice")
    if len(feature.counts) != expected:
        raise ProfileError(f"{where}: {len(feature.counts)} counts for {expected} bins")
