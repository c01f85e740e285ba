"""Write the dashboards: `python -m dashboards --config site.yml --output DIR`, both optional."""

import argparse
import sys
from pathlib import Path

from dashboards.files import product
from sidecar.alerting.rules.settings import Settings, load
from sidecar.base.configfile import ConfigError


def main(argv: list[str] | None = None) -> int:
    """Write every file; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dashboards", description="Write the Grafana dashboards.")
    parser.add_argument("--config", type=Path, help="settings that differ, as for `model-sidecar rules`")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="where to write; default: here")
    options = parser.parse_args(argv)
    try:
        settings = load(options.config) if options.config else Settings()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    for name, text in product(settings).items():
        (options.output / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
