"""One process at a time in the folder of a run.

The lock is the kernel's (flock), so that it ends with the process, however that ends. File systems
that know no locks have none.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffsim.errors import InputError

NAME = ".lock"
UNKNOWN = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)  # to some file systems


@contextmanager
def reachable(folder: Path) -> Iterator[None]:
    """Raise InputError where the folder of a run cannot be made, looked into or written to."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"The folder {folder} cannot be made or written to ({error.strerror or error}). Name "
            "another one with --out."
        ) from None


def is_free(folder: Path) -> bool:
    """Whether a folder has a lock, and no process holds it, as far as the file system tells."""
    try:
        with (folder / NAME).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # there is none, it is held, or nobody knows
        return False
    return True


@contextmanager
def only_user_of(folder: Path) -> Iterator[None]:
    """Keep others out of a folder.

    Raises
    ------
    InputError
        If another process is in it, or nothing can be written to it.
    """
    with reachable(folder):
        opened = (folder / NAME).open("a+")
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = file.read().strip() or "another process"
            raise InputError(
                f"The folder {folder} is in use: {who} is training in it. Wait until it has ended, "
                "or name another folder with --out."
            ) from None
        except OSError as error:
            if error.errno not in UNKNOWN:
                raise
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
