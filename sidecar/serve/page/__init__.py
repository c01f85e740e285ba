"""The status page: one HTML document with its style and script inside, made once.

It asks for nothing but the JSON of the sidecar that served it. The browser is told so by a Content-Security-Policy
that names style and script by their hashes, so that nothing which traffic could bring in would ever run.
"""

import hashlib
from base64 import b64encode
from html import escape
from pathlib import Path

import msgspec

from sidecar import __version__
from sidecar.statistics.drift_table import other_statistics

STYLE = "page.css"
SCRIPTS = ("words.js", "elements.js", "features.js", "detail.js", "service.js", "page.js")
"""Parts of the one script, in the order in which they need each other."""


class Page:
    """The document, with the headers and the entity tag it is served with."""

    def __init__(self, telemetry_path: str) -> None:
        style = _text(STYLE)
        script = f'"use strict";\n{_statistics()}' + "".join(map(_text, SCRIPTS))
        document = _text("index.html")
        for name, text in (
            ("style", style),
            ("script", script),
            ("version", escape(__version__)),
            ("metrics", escape(telemetry_path.lstrip("/"))),
        ):
            document = document.replace(f"{{{{ {name} }}}}", text)
        self.body = document.encode()
        self.tag = hashlib.sha256(self.body).hexdigest()[:16]
        policy = {
            "default-src": "'none'",
            "script-src": _hash(script),
            "style-src": _hash(style),
            "connect-src": "'self'",
            "img-src": "data:",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
            "require-trusted-types-for": "'script'",
            "trusted-types": "'none'",
        }
        self.headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": "; ".join(f"{key} {value}" for key, value in policy.items()),
            "Cache-Control": "no-cache",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }


def _statistics() -> str:
    """Return the name and title of each statistic beside the PSI and its threshold, as a constant of the script."""
    named = [(statistic.name, statistic.title) for statistic in other_statistics()]
    return f"const OTHER_STATISTICS = {msgspec.json.encode(named).decode()};\n"


def _text(name: str) -> str:
    # Not importlib.resources, which imports zipfile.
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
