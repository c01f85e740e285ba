"""Bodies share the turns of the event loop: in their order, one at least a turn, few in a long one."""

import asyncio
import time
from collections.abc import Callable

import pytest

from sidecar.serve.ingest.turns import TURN_SECONDS, Turns


def lasting(seconds: float, done: Callable[[], None]) -> Callable[[], None]:
    def count() -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass
        done()

    return count


async def test_long_bodies_have_a_turn_each_and_others_are_served_in_between() -> None:
    turns, order = Turns(), list[str]()
    for name in "abc":
        turns.wait(lasting(1.5 * TURN_SECONDS, lambda name=name: order.append(name)))  # type: ignore[misc]
    for _ in range(4):
        await asyncio.sleep(0)
        order.append("-")
    assert order == ["a", "-", "b", "-", "c", "-", "-"]


async def test_short_bodies_share_a_turn_and_keep_their_order() -> None:
    turns, order = Turns(), list[int]()
    for number in range(20):
        turns.wait(lambda number=number: order.append(number))  # type: ignore[misc]
    assert turns.over()
    await asyncio.sleep(0)
    assert order == list(range(20))
    assert not turns.over()


async def test_who_comes_in_the_middle_waits_behind_those_that_wait() -> None:
    turns, order = Turns(), list[str]()
    turns.wait(lasting(1.5 * TURN_SECONDS, lambda: order.append("first")))
    turns.wait(lambda: order.append("second"))
    await turns.run(lambda: order.append("third"))
    assert order == ["first", "second", "third"]


async def test_what_counting_raises_is_raised_where_it_is_awaited() -> None:
    turns = Turns()

    def fail() -> None:
        raise ValueError("no")

    for _ in range(2):  # once after waiting, once at once
        with pytest.raises(ValueError, match="no"):
            await turns.run(fail)
