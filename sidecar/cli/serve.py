"""`model-sidecar serve`."""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sidecar.base import log
from sidecar.base.configfile import ConfigError
from sidecar.cli.options import (
    add_auto_reload_option,
    add_connection_options,
    add_log_options,
    address,
    auto_reload_seconds,
    bounds,
)

if TYPE_CHECKING:
    from sidecar.serve.options import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--config.file",
        dest="config_file",
        metavar="FILE",
        type=Path,
        help="configuration; without it, one model named 'default' learns its reference from the first events",
    )
    _add_ingest_options(parser)
    parser.add_argument(
        "--storage.path",
        dest="storage_path",
        metavar="DIR",
        type=Path,
        help="directory where counts and learned references are kept, so that they survive a crash; made if missing "
        "(default: in memory alone)",
    )
    _add_web_options(parser)
    parser.add_argument(
        "--alertmanager.url",
        dest="alertmanager_url",
        metavar="URL",
        type=_url,
        help="show at /alerts what this Alertmanager holds for the models, such as http://alertmanager:9093",
    )
    add_auto_reload_option(parser)
    add_connection_options(parser)
    add_log_options(parser)


def _add_ingest_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ingest.listen-address",
        dest="ingest_address",
        metavar="ADDRESS",
        type=address,
        default="127.0.0.1:8000",
        help="where events are taken and everything is served; keep it on loopback (default: %(default)s)",
    )
    parser.add_argument(
        "--ingest.unix-stream",
        dest="unix_stream",
        metavar="PATH",
        type=Path,
        help="socket file where the same is served, over HTTP, to processes that may write to the file",
    )
    parser.add_argument(
        "--ingest.unix-datagram",
        dest="unix_datagram",
        metavar="PATH",
        type=Path,
        help="socket file that takes datagrams of one event, or one batch in NDJSON or of columns",
    )
    parser.add_argument(
        "--ingest.unix-group",
        dest="unix_group",
        metavar="GROUP",
        help="group of the socket files, by name or number; their mode is 0660 (default: that of the process)",
    )


def _add_web_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--web.listen-address",
        dest="web_addresses",
        metavar="ADDRESS",
        type=address,
        action="append",
        default=[],
        help="where the read-only endpoints are served to the network, such as :9090; may be given more than once",
    )
    parser.add_argument(
        "--web.config.file",
        dest="web_config_file",
        metavar="FILE",
        type=Path,
        help="TLS and authentication of the web addresses, in the format that Prometheus and its exporters share",
    )
    parser.add_argument(
        "--web.telemetry-path",
        dest="telemetry_path",
        metavar="PATH",
        type=_path,
        default="/metrics",
        help="path of the metrics (default: %(default)s)",
    )
    parser.add_argument(
        "--web.enable-lifecycle",
        dest="enable_lifecycle",
        action="store_true",
        help="allow POST /-/reload on the ingest address; SIGHUP always works",
    )
    parser.add_argument(
        "--web.allowed-hosts",
        dest="allowed_hosts",
        metavar="NAMES",
        type=_host_names,
        default=(),
        help="names, separated by commas, that requests to the ingest address may have in Host "
        "beside IP addresses, localhost and the name in the address",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    # Before numpy is imported: OpenBLAS would start one thread per core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with _without_certificates():
        from sidecar.serve import app

    log.set_up(level=args.log_level, form=args.log_format)
    try:
        return app.run(options(args))
    except (ConfigError, OSError) as error:
        print(f"model-sidecar: {error}", file=sys.stderr)
        return 1


def options(args: argparse.Namespace) -> "Options":
    """Return what the arguments say."""
    from sidecar.serve.options import Options

    return Options(
        config_file=args.config_file,
        ingest_address=args.ingest_address,
        web_addresses=args.web_addresses,
        telemetry_path=args.telemetry_path,
        enable_lifecycle=args.enable_lifecycle,
        alertmanager_url=args.alertmanager_url,
        web_config_file=args.web_config_file,
        allowed_hosts=args.allowed_hosts,
        unix_stream=args.unix_stream,
        unix_datagram=args.unix_datagram,
        unix_group=args.unix_group,
        storage_path=args.storage_path,
        bounds=bounds(args),
        auto_reload_seconds=auto_reload_seconds(args),
    )


@contextmanager
def _without_certificates() -> Iterator[None]:
    """Have OpenSSL find no certificates for a while.

    When aiohttp is imported it reads all those that the system trusts, for requests to others: 2 MiB and a tenth of a
    second. `sidecar.serve.alertmanager` reads them when it has such a request to make.
    """
    before = {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    os.environ.update(dict.fromkeys(before, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL such as http://alertmanager:9093")
    return text


def _host_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
            raise argparse.ArgumentTypeError(f"{name!r} is not a host name such as sidecar.internal, without a port")
    return names


def _path(text: str) -> str:
    if not re.fullmatch(r"(/[\w.~-]+)+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a path such as /metrics")
    return text
