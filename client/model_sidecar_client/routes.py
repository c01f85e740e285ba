"""Routes: the requests whose failure is an error even where their handler logged nothing."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

_REQUESTS_TO_WARN_AT = 100

log = logging.getLogger("model_sidecar_client")


class Routes:
    """Patterns of paths, such as `/predict` and `/models/*`, and whether any request has matched them."""

    def __init__(self, patterns: Collection[str]) -> None:
        self._patterns = tuple(patterns)
        self._requests = 0
        self._matched = False
        self._last_path = ""

    def match(self, paths: Collection[str]) -> bool:
        """Tell whether any of the paths that a request has, with and without prefixes, is one of these."""
        matched = any(fnmatchcase(path, pattern) for path in paths for pattern in self._patterns)
        if not self._matched:
            self._matched = matched
            self._last_path = min(paths, key=len)
            self._requests += 1
            problem = self.problem()
            if self._requests == _REQUESTS_TO_WARN_AT and problem is not None:
                log.warning(problem)
        return matched

    def problem(self) -> str | None:
        """Return a sentence where there were requests and none matched."""
        if self._matched or not self._requests:
            return None
        routes = ", ".join(self._patterns)
        return f"no request of {self._requests} matched the routes {routes}; the last was for {self._last_path}"


def asgi_paths(scope: Mapping[str, Any]) -> Iterator[str]:
    """Yield the path of a request, and its path below the root path, which is the application's own."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    yield path
    if root and f"{path}/".startswith(f"{root}/"):
        yield path[len(root) :] or "/"


def wsgi_paths(environ: Mapping[str, Any]) -> Iterator[str]:
    """Yield the path of a request, and its path below the script name, which is the application's own."""
    path = str(environ.get("PATH_INFO", ""))
    yield path or "/"
    yield str(environ.get("SCRIPT_NAME", "")) + path or "/"
