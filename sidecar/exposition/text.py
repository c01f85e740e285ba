"""Text of samples for Prometheus: label escaping, numbers, and the headers of the two formats.

Lines of samples are the same in the text format 0.0.4 and in OpenMetrics 1.0; only the headers of counters differ.
"""

import re
from collections.abc import Sequence
from operator import add

import msgspec

from sidecar.exposition.metric import Metric

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All but tab, and line feed, for which the formats have an escape."""

_ESCAPED = re.compile(rf"{_CONTROL.pattern}|\\x[0-9a-f]{{2}}")
"""Control characters, and what they are written as."""

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def prefix(name: str, labels: Sequence[str], values: Sequence[str]) -> str:
    """Return a sample up to its value: `name{label="value",…} `.

    >>> prefix("up", ("job",), ('say "hi"',))
    'up{job="say \\\\"hi\\\\""} '
    """
    if not labels:
        return f"{name} "
    pairs = ",".join(
        f'{label}="{_visible(value).translate(_ESCAPES)}"' for label, value in zip(labels, values, strict=True)
    )
    return f"{name}{{{pairs}}} "


def _visible(value: str) -> str:
    r"""Write control characters as `\x1b`, which terminals do not act on; the formats have no escape for them.

    Different values stay different: where one holds such a character, or looks as if it did, its backslashes are
    doubled.

    >>> _visible("a\x1b[31m"), _visible("a\\x1b"), _visible("C:\\temp")
    ('a\\x1b[31m', 'a\\\\x1b', 'C:\\temp')
    """
    if _ESCAPED.search(value) is None:
        return value
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", value.replace("\\", "\\\\"))


def number(value: float) -> str:
    """Write a number as both formats read it.

    >>> [number(v) for v in (3, 0.1, float("inf"), float("nan"))]
    ['3', '0.1', '+Inf', 'NaN']
    """
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def lines(prefixes: Sequence[bytes], values: Sequence[float]) -> bytes:
    """Write samples whose values are neither NaN nor infinite; msgspec writes numbers at a fraction of `repr`'s cost.

    >>> lines([b"a ", b"b "], [3, 0.25])
    b'a 3\\nb 0.25\\n'
    """
    texts = msgspec.json.encode(values)[1:-1].split(b",")
    return b"\n".join([*map(add, prefixes, texts), b""])


def header(metric: Metric, *, openmetrics: bool) -> str:
    """Return the HELP and TYPE lines of a family."""
    name = metric.name.removesuffix("_total") if openmetrics and metric.type == "counter" else metric.name
    text = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {name} {text}\n# TYPE {name} {metric.type}\n"
