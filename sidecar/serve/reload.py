"""Reload: read configuration and references again, on SIGHUP, on request, or when their files change."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sidecar.base.configfile import ConfigError
from sidecar.base.log import Log
from sidecar.base.watch import Watch
from sidecar.monitor.monitor import Monitor
from sidecar.monitor.status import LoadState
from sidecar.serve.ingest.http import Ingest
from sidecar.serve.load import files, load_all

log = Log("sidecar")


class Reloader:
    """Give a running process its configuration again.

    `watch` has the files that the process was started with, as they were before it read them.
    """

    def __init__(
        self,
        config_file: Path | None,
        watch: Watch,
        *,
        monitor: Monitor,
        ingests: Sequence[Ingest],
        state: LoadState,
        clock: Callable[[], float],
    ) -> None:
        self._config_file = config_file
        self._watch = watch
        self._monitor = monitor
        self._ingests = ingests
        self._state = state
        self._clock = clock

    def reload(self) -> str | None:
        """Load configuration and references again, keeping the old ones if the new are bad; returns what is wrong."""
        try:
            config, profiles = load_all(self._config_file)
        except ConfigError as error:
            self._state.successful = False
            log.error("reload failed, going on as before", error=error)
            return str(error)
        for discarded in self._monitor.reconfigure(config, profiles, now=self._clock()):
            log.warning("counts discarded by the reload", **discarded._asdict())
        for ingest in self._ingests:
            ingest.limits = config.limits
        self._state.successful = True
        self._state.last_success_timestamp_seconds = time.time()
        log.info("reloaded", models=",".join(profiles))
        return None

    async def follow(self, config_file: Path, every_seconds: float) -> None:
        """Load again what has changed, once for each change, whether it turns out to be good or bad."""
        while True:
            await asyncio.sleep(every_seconds)
            if changed := self._watch.changed():
                log.info("files have changed", files=",".join(map(str, changed)))
                # Before they are read, so that what changes meanwhile is noticed the next time.
                self._watch.follow(files(config_file))
                self.reload()
