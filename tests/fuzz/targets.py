"""What is fuzzed: a function of bytes for everything that reads what others wrote.

A target returns where the input was taken or refused in our own words, and raises whatever else comes up. To add one,
write the function, put it into TARGETS, and put a few inputs into `corpus/NAME/`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from sidecar import config as configurations
from sidecar.base.configfile import ConfigError
from sidecar.config import Config, ModelConfig
from sidecar.http import webconfig
from sidecar.kubernetes.rollback import payload
from sidecar.kubernetes.rollback import policy as policies
from sidecar.monitor.monitor import Monitor
from sidecar.reference import profile as profiles
from sidecar.reference.profile import ProfileError
from tests.fuzz import bodies, labels, state
from tests.fuzz.scraped import read_back

Target = Callable[[bytes], None]

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
_FILE = Path("fuzzed.yml")


def profile(data: bytes) -> None:
    """Load a reference profile; one that is taken is written, read back, compared with and scraped."""
    try:
        loaded = profiles.parse(data, source="fuzzed")
    except ProfileError:
        return
    # The file holds whole seconds.
    written = profiles.parse(profiles.dump(loaded), source="written")
    assert abs(written.created - loaded.created) < timedelta(seconds=1)
    assert msgspec.structs.replace(written, created=loaded.created) == loaded
    assert written.fingerprint == loaded.fingerprint
    monitor = Monitor(
        Config(models=(ModelConfig(name=loaded.model or "m"),)), {loaded.model or "m": loaded}, now=0.0, start=NOON
    )
    read_back(monitor)


def configuration(data: bytes) -> None:
    """Read the configuration of `serve`; one that is taken can be monitored with."""
    text = _text(data)
    try:
        config = configurations.parse(text, _FILE)
    except ConfigError:
        return
    if len(config.models) <= 3:
        monitor = Monitor(config, {model.name: None for model in config.models}, now=0.0, start=NOON)
        read_back(monitor)


def web_configuration(data: bytes) -> None:
    """Read the web configuration, but for the files that it names."""
    _refuses(ConfigError, lambda: webconfig.parse(_text(data), _FILE))


def policy(data: bytes) -> None:
    """Read the policies of the receiver; those that are taken can be asked about any alert."""
    try:
        config = policies.parse(_text(data), _FILE)
    except ConfigError:
        return
    config.policy_for(payload.Alert(firing=True, labels={"alertname": "x"}, starts_at=NOON, fingerprint="f"))


def notification(data: bytes) -> None:
    """Read the body of a notification; every alert is taken or told of."""
    try:
        read = payload.parse(data)
    except payload.Unreadable:
        return
    entries = msgspec.json.decode(data)["alerts"]
    assert len(read.alerts) + len(read.malformed) == len(entries)
    for alert in read.alerts:
        assert alert.starts_at.tzinfo is UTC
        assert len(alert.key("rollback")) == 16
        msgspec.json.encode([alert.name, alert.labels, alert.fingerprint, read.malformed])


def _refuses(kind: type[Exception], read: Callable[[], Any]) -> None:
    try:
        read()
    except kind:
        return


def _text(data: bytes) -> str:
    """Return the text that a file with these bytes holds; what is not UTF-8 is refused before it comes this far."""
    return data.decode("utf-8", "replace")


TARGETS: dict[str, Target] = {
    "bodies": bodies.fuzz,
    "columns": bodies.fuzz_columns,
    "labels": labels.fuzz,
    "profile": profile,
    "notification": notification,
    "configuration": configuration,
    "web-configuration": web_configuration,
    "policy": policy,
    "checkpoint": state.fuzz_checkpoint,
    "journal": state.fuzz_journal,
}
"""Every target by its name, which is that of its folder in `corpus/` too."""
