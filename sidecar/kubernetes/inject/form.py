"""Forms of the values that annotations and settings take.

The admission policy of the chart checks the same ones, so they are of the syntax of RE2.
"""

import re
from typing import NamedTuple

from sidecar.base.duration import Duration


class Form(NamedTuple):
    """What a value looks like, and that in words."""

    pattern: str
    words: str


_NAME = "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_DNS = "[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_PART = "[A-Za-z0-9_-][A-Za-z0-9._-]*"
_DURATION = "[1-9][0-9]{0,3}[smhdw]"
_CPU = Form("[1-9][0-9]{0,5}m?", "a number of cores such as 1 or 50m")
_MEMORY = Form("[1-9][0-9]{0,8}(Ki|Mi|Gi|k|M|G)", "a size such as 96Mi")

FORMS = {
    "model": Form(_NAME, "1 to 63 letters, digits, dots, underscores and hyphens"),
    "model-version": Form(_NAME, "1 to 63 letters, digits, dots, underscores and hyphens"),
    "reference": Form(f"/?{_PART}(/{_PART}){{0,30}}", "a path such as fraud.profile.json"),
    "reference-configmap": Form(_DNS, "the name of a ConfigMap"),
    "reference-volume": Form(_LABEL, "the name of a volume of the pod"),
    "windows": Form(f"{_DURATION}(,{_DURATION}){{0,7}}", "1 to 8 durations such as 5m,1h,24h"),
    "config-configmap": Form(_DNS, "the name of a ConfigMap"),
    "socket-dir": Form(f"/{_PART}(/{_PART}){{0,9}}", "an absolute path such as /run/model-sidecar"),
    "image": Form("[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}", "an image such as registry.example/model-sidecar:1.0"),
    "port": Form(
        "(102[4-9]|10[3-9][0-9]|1[1-9][0-9]{2}|[2-9][0-9]{3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}"
        "|655[0-2][0-9]|6553[0-5])",
        "1024 to 65535",
    ),
    "cpu-request": _CPU,
    "cpu-limit": _CPU,
    "memory-request": _MEMORY,
    "memory-limit": _MEMORY,
    "containers": Form("[a-z0-9-]+(,[a-z0-9-]+)*", "names of containers such as server,worker"),
}
"""Every annotation that a pod may have, without its prefix."""

CONFIG_DIR = "/etc/model-sidecar"
STATE_DIR = "/var/lib/model-sidecar/state"
REFERENCE_DIR = "/var/lib/model-sidecar/reference"
OWN_DIRECTORIES = (CONFIG_DIR, STATE_DIR, REFERENCE_DIR)
"""Where the sidecar's own volumes are mounted."""

SOCKET_DIR_LENGTH = 80
"""The path of a socket may have 107 bytes."""

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 10**3, "M": 10**6, "G": 10**9}


def mistake(name: str, value: str) -> str | None:
    """Return what is allowed where a value is not."""
    form = FORMS[name]
    if not re.fullmatch(form.pattern, value, re.ASCII):
        return form.words
    if name == "windows" and len({Duration(text) for text in value.split(",")}) < value.count(",") + 1:
        return "each window once"
    if name == "socket-dir" and len(value) > SOCKET_DIR_LENGTH:
        return f"at most {SOCKET_DIR_LENGTH} characters"
    if name == "socket-dir" and (own := next((own for own in OWN_DIRECTORIES if _overlap(own, value)), None)):
        return f"a directory apart from {own}, where the sidecar keeps its own files"
    return None


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def parts_of(path: str) -> list[str]:
    """Return the parts of a mount path, the same for all ways to write it.

    >>> parts_of("//run/./x/") == parts_of("run/x") == ["run", "x"]
    True
    """
    return [part for part in path.split("/") if part not in ("", ".")]


def bytes_of(memory: str) -> int:
    """Return a size in bytes.

    >>> bytes_of("2Ki")
    2048
    """
    digits = memory.rstrip("KMGik")
    return int(digits) * _UNITS[memory[len(digits) :]]


def millicores_of(cpu: str) -> int:
    """Return an amount of CPU in thousandths of a core.

    >>> [millicores_of("2"), millicores_of("50m")]
    [2000, 50]
    """
    return int(cpu[:-1]) if cpu.endswith("m") else int(cpu) * 1000
