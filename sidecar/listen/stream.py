"""A Unix stream socket that speaks HTTP, for aiohttp."""

import asyncio
import socket
from pathlib import Path

from aiohttp import web

from sidecar.listen import unix


class UnixStreamSite(web.BaseSite):
    """Serve on a socket file of our own making: mode 0660, and never another program's."""

    def __init__(self, runner: web.AppRunner, path: Path, *, group: str | None) -> None:
        """Bind the socket; raises SocketFileError."""
        super().__init__(runner)
        self._path = path
        self._socket = unix.bind(path, socket.SOCK_STREAM, group=group)
        self._inode = path.lstat().st_ino

    @property
    def name(self) -> str:
        """The socket's address."""
        return f"unix:{self._path}"

    async def start(self) -> None:
        """Begin to take connections."""
        await super().start()
        server = self._runner.server
        assert server is not None  # the runner is set up
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(server, sock=self._socket, backlog=self._backlog)

    async def stop(self) -> None:
        """Take no more connections, and remove the socket file."""
        await super().stop()
        unix.remove(self._path, self._inode)
