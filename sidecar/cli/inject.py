"""`model-sidecar inject`."""

import argparse
import sys
from pathlib import Path

from sidecar.base import log
from sidecar.base.configfile import ConfigError
from sidecar.cli.options import add_connection_options, add_log_options, address, bounds, duration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--config.file",
        dest="config_file",
        metavar="FILE",
        type=Path,
        help="what pods get that do not say otherwise; without it, the defaults",
    )
    parser.add_argument(
        "--check", action="store_true", help="check the settings and the web configuration, and start nothing"
    )
    parser.add_argument(
        "--web.listen-address",
        dest="web_address",
        metavar="ADDRESS",
        type=address,
        default=":8443",
        help="where the API server sends admission reviews to (default: %(default)s)",
    )
    parser.add_argument(
        "--web.config.file",
        dest="web_config_file",
        metavar="FILE",
        type=Path,
        help="TLS, without which the API server does not come, and authentication",
    )
    parser.add_argument(
        "--shutdown.linger",
        dest="linger",
        metavar="DURATION",
        type=duration,
        default="5s",
        help="how long reviews are still answered once told to stop (default: %(default)s)",
    )
    add_connection_options(parser)
    add_log_options(parser)


def run(args: argparse.Namespace) -> int:
    """Answer admission reviews until SIGTERM or SIGINT."""
    from sidecar.kubernetes.inject import service

    log.set_up(level=args.log_level, form=args.log_format)
    options = service.Options(
        config_file=args.config_file,
        web_address=args.web_address,
        web_config_file=args.web_config_file,
        linger_seconds=args.linger.seconds,
        bounds=bounds(args),
    )
    try:
        return service.check(options) if args.check else service.run(options)
    except (ConfigError, OSError) as error:
        print(f"model-sidecar: {error}", file=sys.stderr)
        return 1
