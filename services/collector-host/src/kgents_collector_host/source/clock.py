"""The machine's clock: what the kernel says of it."""

import struct
from collections.abc import Callable
from functools import cache
from typing import Final

from kgents_collector_host.sample import KernelClock

_TIMEX: Final = struct.Struct("@Illll")
"""How the kernel's `struct timex` begins: modes, offset, frequency, maximum and estimated error."""
_TIMEX_BYTES: Final = 512
"""Room for all of it, whatever its size here."""
_US_PER_S: Final = 1e6


def kernel_clock() -> KernelClock | None:
    """What the kernel knows of its clock from the program that keeps it; None: it does not say it to us.

    `adjtimex` without modes reads, as any user may; a sandbox may forbid it all the same.
    """
    read = _adjtimex()
    found = bytearray(_TIMEX_BYTES)
    if read is None or read(found) < 0:
        return None
    _, _, _, max_error_us, estimated_error_us = _TIMEX.unpack_from(found)
    return KernelClock(max_error_us / _US_PER_S, estimated_error_us / _US_PER_S)


@cache
def _adjtimex() -> Callable[[bytearray], int] | None:
    """The function of the C library: it fills what it is given."""
    try:
        import ctypes  # noqa: PLC0415 - where no memory may be both written and executed, some builds cannot load it

        function = ctypes.CDLL(None).adjtimex
    except (ImportError, MemoryError, OSError, AttributeError):
        return None
    room = ctypes.c_char * _TIMEX_BYTES
    return lambda found: int(function(room.from_buffer(found)))
