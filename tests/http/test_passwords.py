"""Passwords are checked for few at once, and strangers cannot make a right one dear again."""

import asyncio
import threading
from collections.abc import Iterator

import bcrypt
import pytest

from sidecar.http.passwords import CHECKS_IN_LINE, Passwords, TooManyChecks

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


class Slow:
    """bcrypt that waits until it may go on, and counts."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.go_on = threading.Event()
        self._checkpw = bcrypt.checkpw

    def __call__(self, password: bytes, hashed: bytes) -> bool:
        self.calls.append(password)
        assert self.go_on.wait(20)
        return self._checkpw(password, hashed)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    checking = Slow()
    monkeypatch.setattr(bcrypt, "checkpw", checking)
    yield checking
    checking.go_on.set()


def ask(passwords: Passwords, password: str, address: str, user: str = "ann") -> asyncio.Task[bool]:
    hashed = HASH if user == "ann" else None
    return asyncio.create_task(passwords.fits(user, password.encode(), hashed, address=address))


async def test_an_address_has_one_check_at_a_time_and_the_same_question_shares_it(slow: Slow) -> None:
    passwords = Passwords()
    first, same = ask(passwords, "secret", "a"), ask(passwords, "secret", "a")
    await asyncio.sleep(0)
    with pytest.raises(TooManyChecks):
        await ask(passwords, "another", "a")
    slow.go_on.set()
    assert (await first, await same) == (True, True)
    assert slow.calls == [b"secret"]
    assert not await ask(passwords, "another", "a")


async def test_few_addresses_wait_in_line(slow: Slow) -> None:
    passwords = Passwords()
    waiting = [ask(passwords, f"wrong {i}", f"address {i}") for i in range(CHECKS_IN_LINE)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyChecks):
        await ask(passwords, "secret", "mine")
    slow.go_on.set()
    assert await asyncio.gather(*waiting) == [False] * CHECKS_IN_LINE
    assert await ask(passwords, "secret", "mine")


async def test_wrong_passwords_do_not_make_a_right_one_dear_again(slow: Slow) -> None:
    slow.go_on.set()
    passwords = Passwords()
    assert await ask(passwords, "secret", "mine")
    for i in range(150):
        assert not await ask(passwords, f"wrong {i}", "stranger", user=("ann", "nobody")[i % 2])
    slow.calls.clear()
    assert await ask(passwords, "secret", "mine")
    assert slow.calls == []
    passwords.forget()
    assert await ask(passwords, "secret", "mine")
    assert slow.calls == [b"secret"]


async def test_the_password_of_nobody_is_wrong_even_where_it_fits_the_hash_in_its_place(slow: Slow) -> None:
    slow.go_on.set()
    assert not await ask(Passwords(), "secret", "a", user="nobody")
    assert slow.calls == [b"secret"]


async def test_who_hangs_up_does_not_stop_the_check_for_others(slow: Slow) -> None:
    passwords = Passwords()
    gone, other = ask(passwords, "secret", "a"), ask(passwords, "secret", "a")
    await asyncio.sleep(0)
    gone.cancel()
    slow.go_on.set()
    assert await other
    assert gone.cancelled()
