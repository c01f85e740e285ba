"""`model-sidecar check-config`."""

import argparse
import sys
from pathlib import Path

from sidecar.base.configfile import ConfigError
from sidecar.serve.load import load_all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", nargs="?", type=Path, help="the configuration file")
    parser.add_argument("--config.file", dest="config_file", metavar="FILE", type=Path, help="the same, as for `serve`")


def run(args: argparse.Namespace) -> int:
    """Check the file, and say what it configures."""
    named = [path for path in (args.file, args.config_file) if path is not None]
    if len(named) != 1:
        args.command_parser.error("name one configuration file: FILE or --config.file")
    [path] = named
    try:
        config, profiles = load_all(path)
    except ConfigError as error:
        print(f"model-sidecar: {error}", file=sys.stderr)
        return 1
    for model in config.models:
        reference = profiles[model.name]
        if reference is None:
            told = f"learns its reference from {model.learn.events} events"
        else:
            told = f"{len(reference.features)} features, reference {reference.fingerprint} of {reference.rows} rows"
            told += "" if reference.season is None else f" by {reference.season}"
        windows = ", ".join(window.text for window in model.windows)
        print(f"{model.name}: {told}; windows {windows}")
    print(f"{path}: OK")
    return 0
