"""Passwords against their bcrypt hashes: dear on purpose, so that strangers must not be able to ask for much of it.

One thread checks them, which nothing else waits for. Each address has one check under way; few addresses wait in line.
Right passwords are remembered apart from wrong ones, so that no number of wrong ones makes a right one dear again.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

CHECKS_IN_LINE = 16
"""Checks under way or waiting at once, each for an address of its own."""

_REMEMBERED = 100
_BCRYPT_BYTES = 72
_NOBODY = b"$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
"""A hash for unknown users, so that they take as long as known ones."""


class TooManyChecks(Exception):
    """A password is not checked now: its address has another check under way, or too many addresses have."""


class Passwords:
    """Check passwords, and remember what came of it."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._checks: dict[str, tuple[bytes, asyncio.Task[bool]]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passwords")

    def forget(self) -> None:
        """Check every password again from now on."""
        self._right.clear()
        self._wrong.clear()

    async def fits(self, user: str, password: bytes, hashed: str | None, *, address: str) -> bool:
        """Tell whether a password is that of a user, whose hash is None where there is no such user.

        Raises TooManyChecks at once.
        """
        known = _NOBODY if hashed is None else hashed.encode()
        question = b"\0".join((user.encode(), known, password))
        key = hmac.digest(self._secret, question, hashlib.sha256)
        for remembered, fits in ((self._right, True), (self._wrong, False)):
            if key in remembered:
                remembered.move_to_end(key)
                return fits
        asked, check = self._checks.get(address, (key, None))
        if asked != key or (check is None and len(self._checks) >= CHECKS_IN_LINE):
            raise TooManyChecks
        if check is None:
            check = asyncio.create_task(self._check(key, password, known, exists=hashed is not None, address=address))
            self._checks[address] = key, check
        # Whoever hangs up does not stop a check that others wait for.
        return await asyncio.shield(check)

    async def _check(self, key: bytes, password: bytes, hashed: bytes, *, exists: bool, address: str) -> bool:
        loop = asyncio.get_running_loop()
        try:
            fits = await loop.run_in_executor(self._thread, _check_password, password, hashed) and exists
        finally:
            del self._checks[address]
        remembered = self._right if fits else self._wrong
        remembered[key] = None
        if len(remembered) > _REMEMBERED:
            remembered.popitem(last=False)
        return fits


def _check_password(password: bytes, hashed: bytes) -> bool:
    try:
        import bcrypt  # here, because few have users

        return bcrypt.checkpw(password[:_BCRYPT_BYTES], hashed)
    except ValueError:  # a NUL byte in the password
        return False
