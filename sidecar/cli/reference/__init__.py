"""`model-sidecar reference`: build, merge, show and compare reference profiles."""

import argparse

from sidecar.cli.reference import bins, build, diff, merge, show, summarize
from sidecar.cli.terminal import needs_extra, tell
from sidecar.reference import ProfileError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands and their arguments."""
    commands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
    modules = {
        "build": build,
        "show": show,
        "diff": diff,
        "summarize": summarize,
        "bins": bins,
        "merge": merge,
    }
    for name, module in modules.items():
        command = commands.add_parser(name, help=module.SUMMARY, description=module.DESCRIPTION)
        module.add_arguments(command)
        command.set_defaults(subcommand_run=module.run, command_parser=command)


def run(args: argparse.Namespace) -> int:
    """Run a subcommand; what is wrong with profiles and data is said in one sentence."""
    try:
        with needs_extra():
            return int(args.subcommand_run(args))
    except ProfileError as error:
        tell(str(error))
        return 1
