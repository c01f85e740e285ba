"""Files of Unix sockets: made with their mode, replaced when stale, never taken from another program."""

import grp
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from sidecar.base.log import Log

log = Log("sidecar.listen")

MODE = 0o660


class SocketFileError(OSError):
    """A socket cannot be made at a path; the message says why in one sentence."""


def bind(path: Path, kind: socket.SocketKind, *, group: str | None) -> socket.socket:
    """Bind a socket of `kind` to a file of mode 0660, of `group` where one is given.

    A socket file that nobody listens on is replaced. Raises SocketFileError where the path is anything else.
    """
    group_id = -1 if group is None else _group_id(group)
    _clear(path, kind)
    bound = socket.socket(socket.AF_UNIX, kind)
    bound.setblocking(False)
    mask = os.umask(0o777 & ~MODE)
    try:
        bound.bind(str(path))
        os.chown(path, -1, group_id)
    except OSError as error:
        bound.close()
        raise SocketFileError(f"{path}: {error.strerror or error}") from error
    finally:
        os.umask(mask)
    return bound


def remove(path: Path, inode: int) -> None:
    """Remove the socket file, unless another program has replaced it since: `inode` is what it had when made."""
    with suppress(FileNotFoundError):
        if path.lstat().st_ino == inode:
            path.unlink()


def _group_id(group: str) -> int:
    try:
        return int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise SocketFileError(f"there is no group {group!r}") from error


def _clear(path: Path, kind: socket.SocketKind) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise SocketFileError(f"{path}: {error.strerror or error}") from error
    if not stat.S_ISSOCK(mode):
        raise SocketFileError(f"{path}: it exists and is not a socket")
    with socket.socket(socket.AF_UNIX, kind) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            log.info("replacing a socket file that nobody listens on", path=path)
            path.unlink()
        except OSError as error:
            # A socket of another kind, or one without permission to connect, belongs to another program.
            raise SocketFileError(f"{path}: another program's socket: {error.strerror or error}") from error
        else:
            raise SocketFileError(f"{path}: another program listens on it")
