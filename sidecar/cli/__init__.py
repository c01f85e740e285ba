"""The command line: `model-sidecar COMMAND`, each command a module with `add_arguments` and `run`.

Modules are imported when their command runs, so that `serve` starts without what the others need.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

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
    "dashboards": "write the Grafana dashboards of a site",
    "rules": "write the Prometheus rules and the Alertmanager configuration of a site",
}


class Parser(argparse.ArgumentParser):
    """A parser that takes no beginning of an option for the option, as that of one becomes that of two."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False} | options)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0 for success, 1 for failure, 2 for wrong usage."""
    completed = _words_to_complete()
    arguments = completed if completed is not None else list(sys.argv[1:] if argv is None else argv)
    parser = Parser(
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
    if completed is not None:
        import_module("argcomplete").autocomplete(parser)  # which writes the completions and exits
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        # The command's own usage helps more than that of the whole.
        command = getattr(parsed, "command_parser", parser)
        command.error(f"unrecognized arguments: {' '.join(unknown)}{''.join(_proposals(command, unknown))}")
    return int(parsed.run(parsed))


def _words_to_complete() -> list[str] | None:
    """Return the words behind the command where a shell asks for completions by argcomplete; None where it does not."""
    return os.environ.get("COMP_LINE", "").split()[1:] if "_ARGCOMPLETE" in os.environ else None


def _proposals(parser: argparse.ArgumentParser, unknown: Sequence[str]) -> Iterator[str]:
    """Name the option that is nearest to each unknown one."""
    options = list(parser._option_string_actions)
    for option in (argument.partition("=")[0] for argument in unknown if argument.startswith("--")):
        beginnings = [name for name in options if name.startswith(option)]
        if nearest := beginnings[:1] or get_close_matches(option, options, n=1):
            yield f"; did you mean {nearest[0]}?"


def entry_point() -> None:
    """Run as the installed command."""
    sys.exit(main())
