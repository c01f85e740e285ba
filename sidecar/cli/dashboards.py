"""`model-sidecar dashboards`."""

import argparse
import sys
from pathlib import Path

from sidecar.alerting.rules import Settings, load
from sidecar.base.configfile import ConfigError
from sidecar.cli.terminal import needs_extra


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--config.file",
        "--config",
        dest="config",
        type=Path,
        metavar="FILE",
        help="settings that differ, as for `model-sidecar rules`",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", required=True, help="directory of the files")


def run(args: argparse.Namespace) -> int:
    """Write every file; return the exit status."""
    with needs_extra():
        from sidecar.dashboards.files import product
    try:
        settings = load(args.config) if args.config else Settings()
        args.output.mkdir(parents=True, exist_ok=True)
        for name, text in product(settings).items():
            (args.output / name).write_text(text, encoding="utf-8")
    except (ConfigError, OSError) as error:
        print(f"model-sidecar: {error}", file=sys.stderr)
        return 1
    return 0
