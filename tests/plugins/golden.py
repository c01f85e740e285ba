"""`pytest --golden` writes the golden files again; without it they are compared with, whole."""

from collections.abc import Callable

import pytest

from tests.paths import DATA

FOLDER = DATA / "golden"

Golden = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write the golden files again instead of comparing")


@pytest.fixture(scope="session")
def golden(pytestconfig: pytest.Config) -> Golden:
    """Compare a text with a golden file: `golden("name.prom", text)`."""

    def check(name: str, text: str) -> None:
        path = FOLDER / name
        if pytestconfig.getoption("--golden"):
            FOLDER.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is not there; write it with: make golden"
        assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; if that is right: make golden"

    return check
