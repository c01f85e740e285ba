"""Load and storage status: its last load, and the keeping of its state in files."""

from dataclasses import dataclass, field

from sidecar.exposition.catalogue import SET_ASIDE_REASONS, STORED_PARTS


@dataclass(slots=True)
class LoadState:
    """How the last load of configuration and references went."""

    successful: bool = True
    last_success_timestamp_seconds: float = 0.0


@dataclass(slots=True)
class StorageState:
    """How keeping the state in files goes; `problem` says why it would not survive a crash now."""

    problem: str | None = None
    failures: int = 0
    checkpoint_timestamp_seconds: float | None = None
    checkpoint_bytes: int = 0
    set_aside: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SET_ASIDE_REASONS, 0))
    resets: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STORED_PARTS, 0))
