"""Options of `serve` from the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.base.configfile import ConfigError
from sidecar.http.connections import Bounds
from sidecar.http.tls_listener import Address
from sidecar.serve.routes import PATHS

if TYPE_CHECKING:
    from sidecar.storage.store import Pace  # not at run time, to spare those without storage its memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of `serve`. Addresses are host and port."""

    config_file: Path | None
    ingest_address: Address
    web_addresses: Sequence[Address]
    telemetry_path: str
    enable_lifecycle: bool
    bounds: Bounds
    auto_reload_seconds: float | None = None
    alertmanager_url: str | None = None
    allowed_hosts: Sequence[str] = ()
    unix_stream: Path | None = None
    unix_datagram: Path | None = None
    unix_group: str | None = None
    web_config_file: Path | None = None
    storage_path: Path | None = None
    storage_pace: "Pace | None" = None

    def check(self) -> None:
        """Refuse options that contradict each other; raises ConfigError."""
        if self.web_config_file is not None and not self.web_addresses:
            raise ConfigError("--web.config.file: it is for --web.listen-address, of which there is none")
        if self.telemetry_path in PATHS:
            raise ConfigError(f"--web.telemetry-path: {self.telemetry_path!r} is taken: choose another path")
        if self.auto_reload_seconds is not None and self.config_file is None:
            raise ConfigError("--config.auto-reload-interval: it is for --config.file, of which there is none")
