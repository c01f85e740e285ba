"""The guide for development names files that are there, and the parts of them that it speaks of."""

import re

from tests.paths import ROOT

TEXT = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([\w./-]+/[\w./-]*)`", TEXT)
CHANGES = ("statistic", "wire format", "window", "label", "alert", "command")


def test_every_file_that_it_names_is_there() -> None:
    paths = [name for name in NAMED if not name.startswith("/")]
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_each_change_has_a_row_that_names_files() -> None:
    rows = [line.split("|")[1:4] for line in TEXT.splitlines() if line.startswith("| a")]
    assert len(rows) == len(CHANGES)
    for change, (title, write, _) in zip(CHANGES, rows, strict=True):
        assert change in title
        assert "`sidecar/" in write


def test_what_it_names_in_a_file_is_in_it() -> None:
    for name, path in re.findall(r"`([A-Z_]+)` in `([\w./-]+)`", TEXT):
        assert re.search(rf"(?m)^{name}\b", (ROOT / path).read_text(encoding="utf-8")), (name, path)
