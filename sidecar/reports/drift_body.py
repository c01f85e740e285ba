"""The body of the drift report, as structs."""

from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import UNSET, UnsetType

from sidecar.reports.report import Count, Report, Role, Share, Time
from sidecar.statistics.drift_table import STATISTICS
from sidecar.statistics.levels import Level


class Season(Report, frozen=True):
    """Describe the season of a reference."""

    cycle: str
    time_zone: str


class Reference(Report, frozen=True):
    """Describe the reference in use."""

    fingerprint: str
    source: str
    model_version: str
    rows: Count
    created: Time
    season: Season | None


class Learning(Report, frozen=True):
    """Count the events that a reference is being learned from, of how many it takes."""

    events: Count
    of: Count


class LevelCounts(Report, frozen=True):
    """Count the inputs and the outputs at each level."""

    input: dict[str, Count]
    output: dict[str, Count]


if TYPE_CHECKING:

    class WindowDrift(Report, frozen=True):
        """What code reads of the struct that the table of statistics makes."""

        psi: float | None
        level: Level

        def __init__(self, **values: object) -> None: ...

else:
    WindowDrift = msgspec.defstruct(
        "WindowDrift",
        [
            *((statistic.name, float | None) for statistic in STATISTICS),
            ("level", Level),
            ("samples", Count),
            ("missing_ratio", Share | None),
        ],
        bases=(Report,),
        frozen=True,
        kw_only=True,
        module=__name__,
        namespace={"__doc__": "Tell how far a feature has moved in one window."},
    )


class DriftThresholds(Report, frozen=True):
    """Give the PSI from which drift has each level."""

    moderate: float
    significant: float
    critical: float
    rollback: float


class BinDrift(Report, frozen=True):
    """Tell the share of one bin in the reference and live, and what it adds to the PSI."""

    bin: str
    range: str
    reference: Share
    live: Share
    count: Count
    contribution: float


class FeatureDrift(Report, frozen=True):
    """Tell how far one feature has moved, with its bins where it alone was asked for."""

    feature: str
    role: Role
    kind: Literal["numeric", "categorical"]
    level: Level
    psi: float | None
    thresholds: DriftThresholds
    windows: dict[str, WindowDrift]
    out_of_range: Count | UnsetType | None = UNSET
    bins_window: str | UnsetType = UNSET
    bins: list[BinDrift] | UnsetType = UNSET


class ModelDrift(Report, frozen=True):
    """Tell how far the features of one model have moved."""

    window: str
    windows: list[str]
    reference: Reference | None
    learning: Learning | None
    min_samples: Count
    levels: dict[str, LevelCounts]
    matched: Count
    features: list[FeatureDrift]


class Drift(Report, frozen=True):
    """Tell how far each feature and output has moved."""

    timestamp: Time
    features_monitored: Count
    drift_detected: bool
    psi_scores: dict[str, float | None]
    drifted_features: list[str]
    models: dict[str, ModelDrift]
