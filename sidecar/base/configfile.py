"""Configuration files: YAML to frozen, typed structs; each error is one sentence."""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from sidecar.base.duration import Duration
from sidecar.base.files import read_regular

T = TypeVar("T")

MOST_BYTES = 16 * 2**20
"""Longest file of settings or secrets that is read."""


class ConfigError(Exception):
    """The configuration cannot be used; the message names file, key, value and what is allowed."""


class ByteSize(int):
    """A number of bytes, written as a number or with a unit: `512KiB`, `8MiB`, `1GB`."""

    _UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}  # noqa: RUF012

    @classmethod
    def parse(cls, value: object) -> "ByteSize":
        """Read a number or a text with a unit; raises ValueError."""
        match = re.fullmatch(r"(\d+) ?([KMG]i?B)?", str(value))
        if isinstance(value, bool) or not match:
            raise ValueError(f"{value!r} is not a size such as 65536, 512KiB or 8MiB")
        return cls(int(match[1]) * cls._UNITS[match[2] or ""])


def read_text(path: Path) -> str:
    """Read a regular file of UTF-8 text; raises ConfigError."""
    try:
        return read_regular(path, most_bytes=MOST_BYTES).decode()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: it is not UTF-8: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{str(path)!r}: it cannot be the name of a file: {error}") from error


def convert_yaml(text: str, path: Path, kind: type[T]) -> T:
    """Convert a YAML document to a struct, an empty one to its defaults; raises ConfigError."""
    document = _read_yaml(text, path)
    if document is None:
        document = {}
    try:
        return msgspec.convert(document, kind, dec_hook=convert_special)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_sentence(str(error), document)}{_nearest_key(str(error), kind)}") from error


class _UniqueKeys(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, where YAML would silently take the last."""

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        text = str(super().construct_scalar(node))
        if re.search("[\ud800-\udfff]", text):
            problem = "half a surrogate pair is no character"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, "merge keys (<<) are not supported", key_node.start_mark
                )
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is there twice", key_node.start_mark
                )
            seen.add(key if isinstance(key, str) else id(key_node))
        return super().construct_mapping(node, deep=deep)


def _read_yaml(text: str, path: Path) -> Any:
    try:
        return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506  (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}:" if mark else ""
        raise ConfigError(f"{path}:{line} {error.problem or error.context}") from error
    except Exception as error:  # PyYAML's constructors raise many kinds, such as ValueError for 2026-13-45
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error


def convert_special(kind: type, value: Any) -> Any:
    """Read a Duration or a ByteSize, for msgspec."""
    if kind is Duration:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not a duration such as 30s, 5m, 1h30m or 1d")
        return Duration(value)
    if kind is ByteSize:
        return ByteSize.parse(value)
    raise NotImplementedError(kind)


def plain_special(value: Any) -> Any:
    """Write a Duration or a ByteSize as `convert_special` reads it, for msgspec."""
    if isinstance(value, Duration):
        return value.text
    if isinstance(value, ByteSize):
        return int(value)
    raise NotImplementedError(type(value))


def _sentence(message: str, document: Any) -> str:
    what, _, place = message.partition(" - at `$")
    keys = place.rstrip("`").lstrip(".")
    value = document
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", keys):
        try:
            value = value[int(index)] if index else value[name]
        except (LookupError, TypeError):
            return f"{keys}: {what}"
    what = what.replace("Object contains unknown field", "there is no such key:").replace(
        "Object missing required field", "it lacks the key"
    )
    what = what.replace("Expected `array`, got `object`", "expected a list, each item after a `-`, not keys")
    if not keys:
        return what
    if isinstance(value, dict | list):
        return f"{keys}: {what}"
    told = shown(value)
    return f"{keys}: {what}" if what.startswith(told) else f"{keys}: {told}: {what}"


def _nearest_key(message: str, kind: type) -> str:
    """Propose the key that is nearest to one that is not there, of those beside it."""
    unknown = re.fullmatch(r"Object contains unknown field `(.*?)`(?: - at `\$(.*)`)?", message)
    if unknown is None:
        return ""
    at: msgspec.inspect.Type | None = msgspec.inspect.type_info(kind)
    for name, item in re.findall(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]", unknown[2] or ""):
        at = _inner(at, name if not item else None)
    at = _struct(at)
    keys = [field.encode_name for field in at.fields] if isinstance(at, msgspec.inspect.StructType) else []
    nearest = get_close_matches(unknown[1], keys, n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _inner(kind: msgspec.inspect.Type | None, name: str | None) -> msgspec.inspect.Type | None:
    """Return the type of a field, or, where it has no name, of the items of a list or object."""
    kind = _struct(kind)
    if isinstance(kind, msgspec.inspect.StructType):
        return next((field.type for field in kind.fields if field.encode_name == name), None)
    found: msgspec.inspect.Type | None = getattr(kind, "item_type", None) or getattr(kind, "value_type", None)
    return found


def _struct(kind: msgspec.inspect.Type | None) -> msgspec.inspect.Type | None:
    """Return the type that is no None, where there is one besides."""
    types = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    return next((one for one in types if not isinstance(one, msgspec.inspect.NoneType)), None)


def shown(value: object) -> str:
    """Return a value as people are told it, cut short; an integer may even have more digits than Python shows."""
    try:
        text = repr(value)
    except ValueError:
        return "a huge number"
    return text if len(text) <= 200 else text[:199] + "…"
