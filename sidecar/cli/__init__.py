"""The command line: `model-sidecar COMMAND`, each command a module with `add_arguments` and `run`.

Modules are imported when their command runs, so that `serve` starts without what the others need.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from sidecar import __version__

COMMANDS = {
    "serve": "receive prediction events and export drift, latency and errors",
    "check-config": "check a configuration file and the references it names",
    "reference": "build, show and compare reference profiles",
    "replay": "send the rows of a data file as prediction events",
    "health": "ask whether a sidecar, receiver or injector is healthy, for health checks",
    "top": "show in a terminal what a running sidecar sees, refreshed in place",
    "backtest": "replay timestamped history through the shipped alerts, and tune them",
    "rollback": "receive alerts from Alertmanager, and roll back or scale down what a policy allows",
    "inject": "add the sidecar to pods that ask for it, as an admission webhook of Kubernetes",
    "rules": "write the Prometheus rules and the Alertmanager configuration of a site",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0 for success, 1 for failure, 2 for wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="model-sidecar",
        description="Watch a model's inputs, outputs, latency and errors, and tell Prometheus.",
    )
    parser.add_argument("--version", action="version", version=f"model-sidecar {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name in arguments[:1]:
            module = import_module(f"sidecar.cli.{name.replace('-', '_')}")
            module.add_arguments(command)
            command.set_defaults(run=module.run, command_parser=command)
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        # The command's own usage helps more than that of the whole.
        getattr(parsed, "command_parser", parser).error(f"unrecognized arguments: {' '.join(unknown)}")
    return int(parsed.run(parsed))


def entry_point() -> None:
    """Run as the installed command."""
    sys.exit(main())
