import doctest
import importlib
import pkgutil

import pytest

import sidecar


def _documented() -> list[str]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = [module.name for module in pkgutil.walk_packages(sidecar.__path__, "sidecar.")]
    importable = [name for name in names if not name.endswith("__main__")]
    return [name for name in importable if any(t.examples for t in finder.find(importlib.import_module(name)))]


@pytest.mark.parametrize("name", _documented())
def test_examples_in_docstrings_give_what_they_show(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


def test_every_statistic_shows_an_example() -> None:
    assert "sidecar.statistics.drift" in _documented()
