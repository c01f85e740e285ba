from collections.abc import AsyncIterator

import pytest

from tests.kubernetes.rollback.fake_kubernetes import FakeKubernetes
from tests.kubernetes.rollback.support import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def fake(clock: Clock) -> AsyncIterator[FakeKubernetes]:
    kubernetes = FakeKubernetes()
    kubernetes.now = clock
    async with kubernetes.serve():
        yield kubernetes
