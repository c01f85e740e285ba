"""The examples of docs/other-languages.md do what the page says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.languages import EVENTS, LANGUAGES, examples, run
from tests.client.support import TRANSPORTS, Listening, listening

BY_HAND = {"Go"}
"""Its compiler takes 450 MB of disk, too much for every `make test`; `python -m tests.client.languages Go` runs it."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("up")) as running:
        yield running


def test_every_example_is_run() -> None:
    assert examples().keys() == LANGUAGES.keys()


@pytest.mark.parametrize("name", [name for name in LANGUAGES if name not in BY_HAND])
def test_an_event_and_a_batch_arrive_by_every_way(name: str, up: Listening, tmp_path: Path) -> None:
    printed, events = run(name, up, tmp_path)
    ways = LANGUAGES[name].ways
    assert events == {transport: EVENTS if transport in ways else 0 for transport in TRANSPORTS}
    answers = re.findall(r'\{"accepted": ?(\d+), ?"rejected": ?(\d+)\}', printed)
    assert sorted(answers) == sorted([("1", "0"), ("2", "0")] * len(set(ways) - {"unix_datagram"}))
