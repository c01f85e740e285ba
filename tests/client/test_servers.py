"""What arrives when real servers end: docs/client.md has the table."""

import os
import signal
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest

from tests.client.servers import served
from tests.client.support import Listening, counted
from tests.plugins.serving import wait_until

REQUESTS = 20

UVICORN = "uvicorn --uds {socket} tests.client.served:"
GUNICORN = "gunicorn --bind unix:{socket} --graceful-timeout 5 tests.client.served:"
HYPERCORN = "hypercorn --bind unix:{socket} tests.client.served:"
UWSGI = "uwsgi --http-socket {socket} --master --die-on-term --need-app --enable-threads --wsgi "

SERVERS = {
    "uvicorn": f"{UVICORN}asgi",
    "uvicorn, middleware": f"{UVICORN}measured",
    "uvicorn --workers": f"{UVICORN}asgi --workers 2",
    "uvicorn --reload": f"{UVICORN}asgi --reload",
    "gunicorn sync": f"{GUNICORN}wsgi",
    "gunicorn sync --preload": f"{GUNICORN}wsgi --preload",
    "gunicorn gthread": f"{GUNICORN}wsgi --worker-class gthread --threads 4 --workers 2",
    "gunicorn gthread --preload": f"{GUNICORN}wsgi --worker-class gthread --threads 4 --workers 2 --preload",
    "gunicorn uvicorn": f"{GUNICORN}asgi --worker-class uvicorn_worker.UvicornWorker",
    "gunicorn gevent": f"{GUNICORN}wsgi --worker-class gevent",
    "gunicorn gevent --preload": f"{GUNICORN}wsgi --worker-class gevent --preload",
    "hypercorn": f"{HYPERCORN}asgi",
    "hypercorn --workers": f"{HYPERCORN}asgi --workers 2",
    "uwsgi": f"{UWSGI}tests.client.served:wsgi",
    "uwsgi --lazy-apps": f"{UWSGI}tests.client.served:wsgi --lazy-apps",
}


LOST = {("gunicorn uvicorn", SIGINT)}
"""gunicorn ends its workers by SIGQUIT then, and uvicorn's worker leaves that to the kernel."""


@pytest.mark.parametrize("number", [SIGTERM, SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("server", SERVERS)
def test_all_that_was_logged_arrives(up: Listening, tmp_path: Path, server: str, number: signal.Signals) -> None:
    before = counted(up.process.url, "http")
    with served(tmp_path, SERVERS[server].split(), up.targets["http"]) as running:
        running.answers(REQUESTS)
        running.end(number)
        arrived = counted(up.process.url, "http") - before
        assert arrived == (0 if (server, number) in LOST else REQUESTS), running.log


@pytest.mark.parametrize("server", ["gunicorn sync --preload", "gunicorn gevent --preload"])
def test_events_of_the_import_before_the_fork_arrive_once(up: Listening, tmp_path: Path, server: str) -> None:
    before = counted(up.process.url, "http")
    with served(tmp_path, SERVERS[server].split(), up.targets["http"], SERVED_AT_IMPORT="1") as running:
        running.answers(REQUESTS)
        running.end(SIGTERM)
        assert counted(up.process.url, "http") - before == REQUESTS + 1, running.log


def test_uwsgi_sends_events_of_the_import_while_it_runs_and_those_of_workers_at_the_end(
    up: Listening, tmp_path: Path
) -> None:
    before = counted(up.process.url, "http")
    environment = {"SERVED_AT_IMPORT": "1", "SERVED_FLUSH_SECONDS": "1"}
    with served(tmp_path, SERVERS["uwsgi"].split(), up.targets["http"], **environment) as running:
        running.answers(REQUESTS)
        wait_until(lambda: counted(up.process.url, "http") - before == REQUESTS + 1)
        running.answers(REQUESTS)
        running.end(SIGTERM)
        assert counted(up.process.url, "http") - before == 2 * REQUESTS + 1, running.log


@pytest.mark.parametrize("server", ["gunicorn sync", "gunicorn gthread", "gunicorn uvicorn", "gunicorn gevent"])
def test_workers_that_are_recycled_lose_nothing(up: Listening, tmp_path: Path, server: str) -> None:
    before = counted(up.process.url, "http")
    with served(tmp_path, [*SERVERS[server].split(), "--max-requests", "7"], up.targets["http"]) as running:
        running.answers(REQUESTS)
        running.end(SIGTERM)
        assert counted(up.process.url, "http") - before == REQUESTS, running.log


def test_the_middleware_sends_at_shutdown_where_sigterm_is_left_alone(up: Listening, tmp_path: Path) -> None:
    before = counted(up.process.url, "http")
    command = SERVERS["uvicorn, middleware"].split()
    environment = {"SERVED_AT_SHUTDOWN": "1", "SERVED_WITHOUT_SIGTERM": "1"}
    with served(tmp_path, command, up.targets["http"], **environment) as running:
        running.answers(REQUESTS)
        running.end(SIGTERM)
        assert counted(up.process.url, "http") - before == REQUESTS + 1, running.log


def test_a_reload_loses_nothing(up: Listening, tmp_path: Path) -> None:
    before = counted(up.process.url, "http")
    watched = tmp_path / "watched.py"
    watched.touch()
    with served(tmp_path, SERVERS["uvicorn --reload"].split(), up.targets["http"]) as running:
        running.answers(REQUESTS)

        def reloaded() -> bool:
            # Again and again, because uvicorn does not see a change from before its first look at the files.
            os.utime(watched, (0, watched.stat().st_mtime + 10))
            return counted(up.process.url, "http") - before == REQUESTS

        wait_until(reloaded)
