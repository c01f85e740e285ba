"""Options that several commands have."""

import argparse

from sidecar import log
from sidecar.configfile import Duration


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """Declare `--log.level` and `--log.format`."""
    parser.add_argument(
        "--log.level", dest="log_level", choices=log.LEVELS, default="info", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--log.format", dest="log_format", choices=log.FORMATS, default="logfmt", help="(default: %(default)s)"
    )


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
