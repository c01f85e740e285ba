"""HTTP listeners: sites for aiohttp's runner that start each connection with our own protocol."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from sidecar.http.tls_listener import Address
from sidecar.serve.ingest import unix

ProtocolFactory = Callable[[], asyncio.Protocol]


class TcpSite(web.BaseSite):
    """Serve at a host and port."""

    def __init__(self, runner: web.AppRunner, protocol: ProtocolFactory, address: Address) -> None:
        super().__init__(runner)
        self._protocol = protocol
        self._address = address

    @property
    def name(self) -> str:
        """The URL."""
        return "http://{}:{}".format(*self._address)

    async def start(self) -> None:
        """Begin to take connections; raises OSError."""
        await super().start()
        host, port = self._address
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, host, port, backlog=self._backlog)


class UnixStreamSite(web.BaseSite):
    """Serve on a socket file of our own making: mode 0660, and never another program's."""

    def __init__(self, runner: web.AppRunner, protocol: ProtocolFactory, path: Path, *, group: str | None) -> None:
        """Bind the socket; raises SocketFileError."""
        super().__init__(runner)
        self._protocol = protocol
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
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._protocol, sock=self._socket, backlog=self._backlog)

    async def stop(self) -> None:
        """Take no more connections, and remove the socket file."""
        await super().stop()
        unix.remove(self._path, self._inode)
