"""Turns: long work on one notification lets other requests have theirs, such as those of probes."""

import asyncio
import time

TURN_SECONDS = 0.01


class Turns:
    """Give the loop to others once this has had it for a while."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    async def offer(self) -> None:
        """Wait for the others if it is their turn."""
        if time.monotonic() - self._since > TURN_SECONDS:
            await asyncio.sleep(0)
            self._since = time.monotonic()
