"""A file system whose server never answers: what reads it waits until it is aborted."""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

DEVICE: Final = Path("/dev/fuse")
_DETACH: Final = 2
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def hanging_mount(point: Path) -> Iterator[None]:
    """Mounted at a directory, for as long as the block runs. Needs root and `/dev/fuse`."""
    point.mkdir()
    handle = os.open(DEVICE, os.O_RDWR)
    options = f"fd={handle},rootmode=40000,user_id=0,group_id=0".encode()
    try:
        if _LIBC.mount(b"kgents-test", os.fsencode(point), b"fuse", 0, options) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        yield
    finally:
        os.close(handle)  # the kernel answers in place of the server: whoever waits goes on
        _LIBC.umount2(os.fsencode(point), _DETACH)
