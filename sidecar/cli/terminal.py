"""What commands show people: errors, notices, progress, tables."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_EXTRAS = {"duckdb": "reference", "pyarrow": "reference", "rich": "reference", "grafana_foundation_sdk": "dashboards"}
"""Which extra brings which library."""

_PIPE_COLUMNS = 200

Progress = Callable[[str, int, int], None]


def tell(sentence: str) -> None:
    """Say one sentence on standard error."""
    print(f"model-sidecar: {sentence}", file=sys.stderr)


@contextmanager
def needs_extra() -> Iterator[None]:
    """Say which extra to install where a library of it is missing, and exit with status 1."""
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _EXTRAS:
            raise
        tell(f"this command needs {library}: pip install 'model-sidecar[{_EXTRAS[library]}]'")
        raise SystemExit(1) from error


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show how far a command is on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich import progress
    from rich.console import Console
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        """How many a second."""

        def render(self, task: progress.Task) -> Text:
            """Write the rate, once it is known."""
            return Text("" if task.speed is None else f"{task.speed:,.0f}/s", style="progress.data.speed")

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        Rate(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(what: str, done: int, total: int) -> None:
            if bar.tasks[0].description != what:
                bar.reset(task, description=what, total=total)
            bar.update(task, completed=done, total=total)

        yield show


def unwritable(path: Path) -> str | None:
    """Return why a file cannot be written, None where it can."""
    if path.is_dir():
        return f"{path}: it is a directory, not a file"
    if not path.parent.is_dir():
        return f"{path}: there is no directory {path.parent}"
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return f"{path}: it cannot be written"
    return None


def console() -> "Console":
    """Return what tables are printed to: standard output, wide where it is not a terminal."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)


def printable(text: str) -> str:
    """Write out characters that would act on a terminal instead of being shown."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def bar_chart(counts: list[int]) -> str:
    """Draw counts as columns an eighth of a line high at the least; a bin without any is a dot."""
    most = max(counts, default=0)
    return "".join("▁▂▃▄▅▆▇█"[(c * 8 - 1) // most] if c else "·" for c in counts)


def bar(share: float, *, width: int) -> str:
    """Draw a share as a bar up to `width` characters long, in eighths of one."""
    eighths = round(share * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def number(value: float | None) -> str:
    """Write a number for people."""
    return "" if value is None else f"{value:.4g}"
