"""Groups of rules and how they are written as YAML that people enjoy reading.

PyYAML can write neither comments nor a chosen layout, and these files are a product: hence the few lines
below.
"""

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Describe a recording rule."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Describe an alerting rule."""

    alert: str
    expr: str
    for_: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Describe a group: rules evaluated in order, every `interval`."""

    name: str
    interval: str
    rules: Sequence[Record | Alert]
    comment: str = ""


def render(groups: Sequence[Group], *, comment: str) -> str:
    """Return the text of a Prometheus rule file."""
    lines = [*comment_lines(comment, 0), "groups:"]
    for group in groups:
        lines += [
            "",
            *comment_lines(group.comment, 2),
            f"  - name: {group.name}",
            f"    interval: {group.interval}",
        ]
        lines.append("    rules:")
        for number, rule in enumerate(group.rules):
            lines += [*([""] if number else []), *comment_lines(rule.comment, 6), *_rule(rule)]
    return "\n".join(lines) + "\n"


def plain(groups: Sequence[Group]) -> list[dict[str, object]]:
    """Return groups as the plain objects that YAML and JSON know, for a `PrometheusRule`."""
    return [
        {"name": group.name, "interval": group.interval, "rules": [_plain(rule) for rule in group.rules]}
        for group in groups
    ]


def _plain(rule: Record | Alert) -> dict[str, object]:
    if isinstance(rule, Record):
        labels = {"labels": dict(rule.labels)} if rule.labels else {}
        return {"record": rule.record, "expr": rule.expr, **labels}
    return {
        "alert": rule.alert,
        "expr": rule.expr,
        "for": rule.for_,
        "labels": dict(rule.labels),
        "annotations": dict(rule.annotations),
    }


def _rule(rule: Record | Alert) -> list[str]:
    if isinstance(rule, Record):
        return [
            f"      - record: {rule.record}",
            *_block("expr", rule.expr),
            *_mapping("labels", rule.labels),
        ]
    return [
        f"      - alert: {rule.alert}",
        *_block("expr", rule.expr),
        f"        for: {rule.for_}",
        *_mapping("labels", rule.labels),
        *_mapping("annotations", rule.annotations),
    ]


def _block(key: str, text: str) -> list[str]:
    return [f"        {key}: |", *(f"          {line}".rstrip() for line in text.rstrip("\n").split("\n"))]


def _mapping(key: str, mapping: Mapping[str, str]) -> list[str]:
    if not mapping:
        return []
    return [f"        {key}:", *(line for item in mapping.items() for line in _item(*item))]


def _item(key: str, value: str) -> list[str]:
    if key != "description":
        return [f"          {key}: {_scalar(value)}"]
    unbroken = re.sub(r"\{\{.*?\}\}", lambda match: match.group().replace(" ", "\0"), value)
    wrapped = textwrap.wrap(unbroken, 98, break_long_words=False, break_on_hyphens=False)
    return [f"          {key}: >-", *(f"            {line}".replace("\0", " ") for line in wrapped)]


def _scalar(text: str) -> str:
    if text.replace("_", "").isalpha():
        return text
    if '"' in text and "'" not in text:
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False)


def comment_lines(text: str, indent: int = 0) -> list[str]:
    """Return paragraphs, one a line of `text`, as wrapped YAML comments."""
    if not text:
        return []
    return [
        " " * indent + f"# {line}".rstrip()
        for paragraph in text.split("\n")
        for line in (textwrap.wrap(paragraph, 108 - indent) or [""])
    ]
