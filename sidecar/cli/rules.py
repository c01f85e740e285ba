"""Write the Prometheus rules and the Alertmanager configuration of a site.

Without `--output` the rules go to standard output as one file, or, with `--prometheus-rule`, as one
PrometheusRule object. With it, every file goes into that directory.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sidecar.alerting.rules import Settings, load, product, prometheus_rule, rule_groups
from sidecar.alerting.rules.rule import render
from sidecar.base.configfile import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `model-sidecar rules`."""
    parser.add_argument(
        "--config.file",
        "--config",
        dest="config",
        type=Path,
        metavar="FILE",
        help="YAML file with the values that differ from the defaults",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="write every file into this directory")
    parser.add_argument(
        "--prometheus-rule",
        action="store_true",
        help="print a PrometheusRule object of the Prometheus operator",
    )


def run(args: argparse.Namespace) -> int:
    """Write or print the rules; return the exit status."""
    if args.output and args.prometheus_rule:
        print("model-sidecar: --output and --prometheus-rule exclude each other", file=sys.stderr)
        return 2
    try:
        settings = load(args.config) if args.config else Settings()
        if args.output:
            _write(product(settings), args.output)
        elif args.prometheus_rule:
            sys.stdout.write(prometheus_rule(settings))
        else:
            sys.stdout.write(render(rule_groups(settings), comment="All rules of model-sidecar."))
    except (ConfigError, OSError) as error:
        print(f"model-sidecar: {error}", file=sys.stderr)
        return 1
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run this command alone, as `python -m sidecar.cli.rules`."""
    parser = argparse.ArgumentParser(prog="model-sidecar rules", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(argv))


def _write(texts: dict[Path, str], directory: Path) -> None:
    for name, text in texts.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
