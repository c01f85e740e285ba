"""Write the table of values in the chart's README from the comments in its values.yaml; `--check` only compares."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "model-sidecar"
MARK = "<!-- The rest is written by helm/write_readme.py from values.yaml. -->\n"

_LINE = re.compile(r"(?P<indent> *)(?:# (?P<comment>.*)|(?P<key>[A-Za-z]\w*):.*)")


class Undocumented(Exception):
    """A value has no comment above it."""


def documented(text: str) -> dict[tuple[str, ...], str]:
    """Return the comment of every value that has one, by its path."""
    found: dict[tuple[str, ...], str] = {}
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            comment = []
        elif match["comment"] is not None:
            comment.append(match["comment"])
        else:
            path[len(match["indent"]) // 2 :] = [match["key"]]
            if comment:
                found[tuple(path)] = " ".join(comment)
            comment = []
    return found


def rows(values: dict[str, Any], comments: dict[tuple[str, ...], str], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a row for every value, and one for every group of them; raises Undocumented."""
    for key, value in values.items():
        here = (*path, key)
        if here not in comments:
            raise Undocumented(".".join(here))
        inner = any(known[: len(here)] == here and len(known) > len(here) for known in comments)
        told = comments[here].replace("|", "\\|")
        if inner:
            yield f"| **`{'.'.join(here)}`** | | {told} |"
            yield from rows(value, comments, here)
        else:
            yield f"| `{'.'.join(here)}` | `{json.dumps(value)}` | {told} |"


def readme() -> str:
    """Return the whole README."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    table = "\n".join(rows(yaml.safe_load(text), documented(text)))
    written, mark, _ = (CHART / "README.md").read_text(encoding="utf-8").partition(MARK)
    return f"{written}{mark}\n## Values\n| value | default | |\n|---|---|---|\n{table}\n"


def main(arguments: list[str]) -> int:
    """Write the README, or compare it; returns the exit status."""
    path, text = CHART / "README.md", readme()
    if "--check" not in arguments:
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        print(f"{path} is not what values.yaml says; write it with: python {Path(__file__).name}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
