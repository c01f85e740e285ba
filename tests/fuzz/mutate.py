"""Change JSON and MessagePack inside: a value, a key or a length, so that what comes out is still a document."""

import random
from collections.abc import Callable
from typing import Any

import msgspec

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, 1e308, -1e308, 2**53, 2**63, -(2**63), 5e-324, ""),
    *("\0", "\n", '"', "\\", "{", "}", "é", "\u2028", "😀", "x" * 200, "NaN", "1", "true"),
    *(
        [],
        {},
        [[]],
        [None],
        {"": None},
        "columns",
        "features",
        "model",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23",
    ),
    *("http://[", "http://x:y", "(", "a{4294967295}", "5m", "1h", "9" * 400 + "d", "50%", "..", "/etc/passwd"),
)


def mutated(data: bytes, *, seed: int, most: int) -> bytes | None:
    """Return a document with something changed, of at most `most` bytes; None where `data` is no document."""
    chance = random.Random(seed)
    for decode, encode in _FORMS:
        try:
            document = decode(data)
            changed = encode(_changed(document, chance))
        except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError, TypeError, ValueError):
            continue
        return changed if len(changed) <= most else None
    return None


_FORMS: tuple[tuple[Callable[[bytes], Any], Callable[[Any], bytes]], ...] = (
    (msgspec.json.decode, msgspec.json.encode),
    (msgspec.msgpack.decode, msgspec.msgpack.encode),
)


def _changed(value: Any, chance: random.Random) -> Any:
    """Change one place of a document."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        match chance.randrange(8):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {(_some(chance, str) if k == key else k): v for k, v in value.items()}
            case 2:
                return value | {_some(chance, str): chance.choice(list(value.values()))}
            case _:
                return value | {key: _changed(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        i = chance.randrange(len(value))
        match chance.randrange(8):
            case 0:
                return value[:i] + value[i + 1 :]
            case 1:
                return value + [value[i]] * chance.choice((1, 2, 50))
            case 2:
                return [*value, chance.choice(_VALUES)]
            case _:
                return [*value[:i], _changed(value[i], chance), *value[i + 1 :]]
    if isinstance(value, bytes):
        return value[: chance.randrange(len(value) + 1)] + chance.randbytes(chance.choice((0, 1, 8)))
    return chance.choice(_VALUES)


def _some(chance: random.Random, kind: type) -> Any:
    return chance.choice([v for v in _VALUES if type(v) is kind])
