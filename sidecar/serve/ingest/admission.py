"""Admission: how many bytes of bodies are held while they are received."""

import asyncio


class Admission:
    """Count the bodies that are being received, by the bytes that are here and not by those that were announced.

    `most_bytes` is the limit of all bodies together.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._bodies = self._bytes = 0
        self._none = asyncio.Event()

    def has_room(self, size: int) -> bool:
        """Say whether that many more bytes may be held."""
        return self._bytes + size <= self.most_bytes

    def begin(self) -> "Held":
        """Begin to hold a body."""
        self._bodies += 1
        return Held(self)

    def add(self, size: int) -> None:
        """Count bytes as held, or no longer held where negative."""
        self._bytes += size

    def end(self) -> None:
        """Hold one body less."""
        self._bodies -= 1
        self._none.set()

    async def drained(self) -> None:
        """Wait until no body is being received."""
        while self._bodies:
            self._none.clear()
            await self._none.wait()


class Held:
    """A body that is being received, and how many bytes of it are here."""

    __slots__ = ("_admission", "_size")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._size = 0

    def grow(self, size: int) -> bool:
        """Hold that many more bytes, and say whether there was room."""
        if not self._admission.has_room(size):
            return False
        self.grow_anyway(size)
        return True

    def grow_anyway(self, size: int) -> None:
        """Hold bytes that are here already."""
        self._size += size
        self._admission.add(size)

    def release(self) -> None:
        """Hold the body no longer."""
        self._admission.add(-self._size)
        self._size = 0
        self._admission.end()
