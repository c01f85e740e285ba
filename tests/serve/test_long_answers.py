"""Long answers wait in line, a short one; nothing is done for clients that are gone."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import BaseTestServer, TestServer

from sidecar.base.cooperative import Steps
from sidecar.serve.long_answers import WAITING_BY_ADDRESS, LongAnswers


class Slow:
    """A server whose answers end when they may."""

    def __init__(self) -> None:
        self.begun = self.ended = self.refused = 0
        self.go_on = False
        self.answers = LongAnswers(self._refused)

    def _refused(self, request: web.Request) -> None:
        self.refused += 1

    def _steps(self) -> Steps[str]:
        self.begun += 1
        while not self.go_on:
            yield
        self.ended += 1
        return "done"

    async def answer(self, request: web.Request) -> web.Response:
        return web.Response(text=await self.answers.make(request, self._steps))


@pytest.fixture
async def slow() -> Slow:
    return Slow()


@pytest.fixture
async def server(slow: Slow) -> AsyncIterator[BaseTestServer]:
    application = web.Application()
    application.router.add_get("/", slow.answer)
    async with TestServer(application) as running:
        yield running


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  (it is a fact of the server, not an event)
            await asyncio.sleep(0.01)


async def ask(session: ClientSession, server: BaseTestServer) -> tuple[int, str | None]:
    async with session.get(server.make_url("/")) as answer:
        await answer.read()
        return answer.status, answer.headers.get("Retry-After")


async def test_beyond_those_in_line_the_answer_is_503_at_once(slow: Slow, server: BaseTestServer) -> None:
    async with ClientSession() as session:
        waiting = [asyncio.create_task(ask(session, server)) for _ in range(WAITING_BY_ADDRESS)]
        await until(lambda: slow.answers.waiting == WAITING_BY_ADDRESS)
        assert await ask(session, server) == (503, "1")
        assert (slow.begun, slow.refused) == (1, 1)
        slow.go_on = True
        assert await asyncio.gather(*waiting) == [(200, None)] * WAITING_BY_ADDRESS
        assert await ask(session, server) == (200, None)
    assert slow.answers.waiting == 0


async def test_an_answer_ends_with_its_client_and_those_who_left_the_line_get_none(
    slow: Slow, server: BaseTestServer
) -> None:
    async with ClientSession() as session:
        gone = [asyncio.create_task(ask(session, server)) for _ in range(WAITING_BY_ADDRESS)]
        await until(lambda: slow.answers.waiting == WAITING_BY_ADDRESS)
        for task in gone:
            task.cancel()
        await until(lambda: slow.answers.waiting == 0)
        assert (slow.begun, slow.ended) == (1, 0)
        slow.go_on = True
        assert await ask(session, server) == (200, None)
    assert (slow.begun, slow.ended, slow.refused) == (2, 1, 0)
