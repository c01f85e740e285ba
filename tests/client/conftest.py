from collections.abc import Iterator

import pytest

from tests.client.support import Listening, listening


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("up")) as running:
        yield running
