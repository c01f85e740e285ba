"""Figures: named numbers that benchmarks have measured, kept in `build/bench.json` for the tables and the pictures."""

import json
import os
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PATH = Path(__file__).parent.parent / "build" / "bench.json"
PACKAGES = (
    *("aiohttp", "msgspec", "numpy", "prometheus_client", "uvloop"),
    *("fastapi", "pydantic", "uvicorn", "whylogs", "river", "evidently", "requests"),
)


class Figures:
    """Numbers by name, such as `ingest.5.ndjson.process_us`; units end the name."""

    def __init__(self, values: Mapping[str, float] = {}, machine: str = "", measured: str = "") -> None:
        self.values = dict(values)
        self.machine = machine
        self.measured = measured
        self._new: dict[str, float] = {}

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    def __setitem__(self, name: str, value: float) -> None:
        self.values[name] = self._new[name] = float(value)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def get(self, name: str) -> float | None:
        """Return a number, or None where it was not measured."""
        return self.values.get(name)

    def below(self, start: str) -> Iterator[tuple[str, float]]:
        """Yield the numbers whose names begin with `start.`, without that."""
        for name, value in self.values.items():
            if name.startswith(f"{start}."):
                yield name.removeprefix(f"{start}."), value

    def save(self, path: Path = PATH) -> None:
        """Add the figures that are new to those in the file, with the machine and the time."""
        path.parent.mkdir(exist_ok=True)
        self.values = {**load(path).values, **self.values, **self._new}
        self.machine, self.measured = machine(), datetime.now(UTC).strftime("%Y-%m-%d")
        content = {"machine": self.machine, "measured": self.measured, "figures": self.values}
        path.write_text(json.dumps(content, indent=1) + "\n")


def load(path: Path = PATH) -> Figures:
    """Read what was measured before; empty where nothing was."""
    if not path.exists():
        return Figures()
    content = json.loads(path.read_text())
    return Figures(content["figures"], content["machine"], content["measured"])


def machine() -> str:
    """Say in one sentence what this was measured on."""
    found = [f"{name} {text}" for name in PACKAGES if (text := _version(name))]
    return (
        f"{os.cpu_count()} cores ({_processor()}), Linux {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}; {', '.join(found)}; "
        f"load average {os.getloadavg()[2]:.1f} in the last 15 minutes, the benchmarks' own included"
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
