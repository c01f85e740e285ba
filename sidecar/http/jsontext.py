"""A document as JSON for people and programs, written in steps."""

from collections.abc import Iterable
from typing import Any

import msgspec

from sidecar.base.cooperative import Steps

_DEEPEST = 4
"""Where objects and arrays are no longer cut into steps: `features` of a model of the drift report are here."""


def written(document: Any) -> Steps[bytes]:
    """Write a document with two blanks a level and a newline at its end; structs of msgspec are objects.

    >>> from sidecar.base.cooperative import at_once
    >>> print(at_once(written({"a": [1, {"b": None}], "c": {}})).decode(), end="")
    {
      "a": [
        1,
        {
          "b": null
        }
      ],
      "c": {}
    }
    """
    parts: list[bytes] = []
    yield from _write(document, parts, newline=b"\n", depth=0)
    parts.append(b"\n")
    return b"".join(parts)


def _write(value: Any, parts: list[bytes], *, newline: bytes, depth: int) -> Steps[None]:
    if isinstance(value, msgspec.Struct) and depth < _DEEPEST:
        value = _set_fields(value)
    held: Iterable[Any] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if depth == _DEEPEST or not any(isinstance(item, dict | list | msgspec.Struct) for item in held):
        # No newline is part of a text: those are escaped.
        parts.append(msgspec.json.format(msgspec.json.encode(value), indent=2).replace(b"\n", newline))
        yield
        return
    opening, closing = (b"{", b"}") if isinstance(value, dict) else (b"[", b"]")
    inner = newline + b"  "
    before = opening + inner
    names = [msgspec.json.encode(name) + b": " for name in value] if isinstance(value, dict) else [b""] * len(value)
    for name, item in zip(names, held, strict=True):
        parts.append(before + name)
        yield from _write(item, parts, newline=inner, depth=depth + 1)
        before = b"," + inner
    parts.append(newline + closing)


def _set_fields(struct: msgspec.Struct) -> dict[str, Any]:
    """Return the fields that msgspec would write, by the names that it would write."""
    names = zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True)
    found = {encoded: getattr(struct, field) for encoded, field in names}
    return {name: value for name, value in found.items() if value is not msgspec.UNSET}
