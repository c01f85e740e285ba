"""Showing readings: in place on a terminal, one after the other elsewhere, or one."""

import asyncio
import signal
from contextlib import suppress
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live

from sidecar.cli.terminal import tell
from sidecar.cli.top.read import Reader, Reading, Unreachable
from sidecar.cli.top.screen import Fit, fit, loss, screen

_REDRAW_SECONDS = 0.5


async def print_once(reader: Reader, out: Console, *, rows: int) -> None:
    """Print one reading; raises Unreachable."""
    reading = await reader.read()
    everything = Fit(len(reading.drift), rows)
    out.print(screen(reading, reader.sidecar, everything, width=out.size.width, window=reader.wanted.window))


async def print_regularly(reader: Reader, out: Console, *, rows: int, interval: float) -> None:
    """Print a reading every `interval` seconds, and say on standard error when there is none."""
    while True:
        try:
            await print_once(reader, out, rows=rows)
            out.print()
        except Unreachable as error:
            tell(str(error))
        await asyncio.sleep(interval)


@dataclass(slots=True)
class _Shown:
    """The last reading, when it was made by the loop's clock, and why there is no newer one."""

    reading: Reading | None = None
    read_at: float = 0.0
    failure: str | None = None


async def watch(reader: Reader, out: Console, *, rows: int | None, interval: float) -> None:
    """Show readings in place until SIGINT or SIGTERM; a sidecar that goes away is waited for.

    `rows` is None to show what fits. Raises Unreachable where there is nobody to begin with.
    """
    loop = asyncio.get_running_loop()
    stop, redraw = asyncio.Event(), asyncio.Event()

    def end() -> None:
        stop.set()
        redraw.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGWINCH, redraw.set)
    shown = _Shown(await reader.read(), loop.time())

    def picture() -> Group:
        parts = [loss(shown.failure, shown.reading, age=loop.time() - shown.read_at)] if shown.failure else []
        if shown.reading is None:
            return Group(*parts)
        width, height = out.size
        fitting = fit(len(shown.reading.drift), height=height - len(parts), rows=rows)
        return Group(*parts, screen(shown.reading, reader.sidecar, fitting, width=width, window=reader.wanted.window))

    reading = asyncio.create_task(_keep_reading(reader, shown, redraw, interval=interval))
    try:
        with Live(picture(), console=out, screen=True, auto_refresh=False, redirect_stderr=False) as live:
            while not stop.is_set():
                live.update(picture(), refresh=True)
                with suppress(TimeoutError):
                    await asyncio.wait_for(redraw.wait(), _REDRAW_SECONDS)
                redraw.clear()
                if reading.done():
                    reading.result()
    finally:
        reading.cancel()


async def _keep_reading(reader: Reader, shown: _Shown, redraw: asyncio.Event, *, interval: float) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(interval)
        try:
            shown.reading, shown.read_at, shown.failure = await reader.read(), loop.time(), None
        except Unreachable as error:
            shown.failure = str(error)
        redraw.set()
