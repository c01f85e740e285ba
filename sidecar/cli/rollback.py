"""`model-sidecar rollback`."""

import argparse
import sys
from pathlib import Path

from sidecar.base import log
from sidecar.base.configfile import ConfigError
from sidecar.cli.options import (
    add_auto_reload_option,
    add_connection_options,
    add_log_options,
    address,
    auto_reload_seconds,
    bounds,
    duration,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--config.file", dest="config_file", metavar="FILE", type=Path, required=True, help="the policies"
    )
    parser.add_argument(
        "--check", action="store_true", help="check the policies and the web configuration, and start nothing"
    )
    parser.add_argument(
        "--web.listen-address",
        dest="web_address",
        metavar="ADDRESS",
        type=address,
        default=":8080",
        help="where Alertmanager sends notifications to (default: %(default)s)",
    )
    parser.add_argument(
        "--web.config.file", dest="web_config_file", metavar="FILE", type=Path, help="TLS and authentication"
    )
    parser.add_argument(
        "--kubernetes.mode",
        dest="kubernetes_mode",
        choices=("cluster", "none"),
        default="cluster",
        help="none asks no cluster: every policy is a dry run (default: %(default)s)",
    )
    parser.add_argument(
        "--kubernetes.kubeconfig",
        dest="kubeconfig",
        metavar="FILE",
        type=Path,
        help="how to reach the cluster; without it, the one this runs in, or what KUBECONFIG or ~/.kube/config says",
    )
    parser.add_argument(
        "--kubernetes.context", dest="context", metavar="NAME", help="context of the kubeconfig, if not its current one"
    )
    parser.add_argument(
        "--kubernetes.timeout",
        dest="timeout",
        metavar="DURATION",
        type=duration,
        default="5s",
        help="how long a request to the cluster may take (default: %(default)s)",
    )
    parser.add_argument(
        "--kubernetes.objects",
        dest="objects_file",
        metavar="FILE",
        type=Path,
        help="with --kubernetes.mode=none: objects to decide on, as `kubectl get -o yaml` writes them",
    )
    add_auto_reload_option(parser)
    add_connection_options(parser)
    add_log_options(parser)


def run(args: argparse.Namespace) -> int:
    """Receive notifications until SIGTERM or SIGINT."""
    from sidecar.kubernetes.rollback import service

    log.set_up(level=args.log_level, form=args.log_format)
    options = service.Options(
        config_file=args.config_file,
        web_address=args.web_address,
        web_config_file=args.web_config_file,
        kubernetes_mode=args.kubernetes_mode,
        kubeconfig=args.kubeconfig,
        context=args.context,
        kubernetes_timeout_seconds=args.timeout.seconds,
        objects_file=args.objects_file,
        bounds=bounds(args),
        auto_reload_seconds=auto_reload_seconds(args),
    )
    try:
        if args.objects_file is not None and args.kubernetes_mode != "none":
            raise ConfigError("--kubernetes.objects is for --kubernetes.mode=none")
        return service.check(options) if args.check else service.run(options)
    except (ConfigError, OSError) as error:
        print(f"model-sidecar: {error}", file=sys.stderr)
        return 1
