"""Options that several commands have."""

import argparse
from typing import TYPE_CHECKING

from sidecar.base import log
from sidecar.base.duration import Duration

if TYPE_CHECKING:
    from sidecar.http.connections import Bounds


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """Declare `--log.level` and `--log.format`."""
    parser.add_argument(
        "--log.level", dest="log_level", choices=log.LEVELS, default="info", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--log.format", dest="log_format", choices=log.FORMATS, default="logfmt", help="(default: %(default)s)"
    )


def add_connection_options(parser: argparse.ArgumentParser) -> None:
    """Declare what bounds the connections of each listener."""
    parser.add_argument(
        "--web.max-connections",
        dest="max_connections",
        metavar="NUMBER",
        type=_count,
        default=512,
        help="connections that each listener keeps open at once (default: %(default)s)",
    )
    parser.add_argument(
        "--web.read-timeout",
        dest="read_timeout",
        metavar="DURATION",
        type=_duration_above_zero,
        default="5m",
        help="time after which a connection is closed that is idle, whose request does not arrive, "
        "or whose client does not take its answer (default: %(default)s)",
    )


def add_auto_reload_option(parser: argparse.ArgumentParser) -> None:
    """Declare `--config.auto-reload-interval`."""
    parser.add_argument(
        "--config.auto-reload-interval",
        dest="auto_reload",
        metavar="DURATION",
        type=_duration_above_zero,
        help="look this often whether the files of the configuration have changed, and load them again if so, "
        "for files that are mounted from a ConfigMap (default: never)",
    )


def auto_reload_seconds(args: argparse.Namespace) -> float | None:
    """Return what `--config.auto-reload-interval` says."""
    return None if args.auto_reload is None else float(args.auto_reload.seconds)


def bounds(args: argparse.Namespace) -> "Bounds":
    """Return the bounds that the options set."""
    from sidecar.http.connections import Bounds  # here, because aiohttp is not to come with options: see `cli.serve`

    return Bounds(connections=args.max_connections, read_timeout_seconds=args.read_timeout.seconds)


def _duration_above_zero(text: str) -> Duration:
    read = duration(text)
    if not read.seconds:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration above 0s")
    return read


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000000")
    return int(text)


def address(text: str) -> tuple[str | None, int]:
    """Read `host:port`, `[::1]:port` or `:port`, which is every interface."""
    host, colon, port = text.rpartition(":")
    bare = ":" in host and not (host.startswith("[") and host.endswith("]"))
    if not colon or bare or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as 127.0.0.1:8000 or :9090")
    return host.removeprefix("[").removesuffix("]") or None, int(port)


def duration(text: str) -> Duration:
    """Read a duration such as `5s`."""
    try:
        return Duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
