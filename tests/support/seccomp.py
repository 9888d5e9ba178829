"""Calls of the kernel that it refuses to this process, as a container's filter has it refuse them: EPERM."""

import ctypes
import errno
import struct
from typing import Final

_NUMBERS: Final = {"adjtimex": 159, "clock_adjtime": 305}
"""Of x86-64."""
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse(*calls: str) -> None:
    """From now on, for good."""
    lines = [(_LOAD, 0, 0, 0)]  # the number of the call
    for each in calls:
        lines += [(_JUMP_IF_EQUAL, 0, 1, _NUMBERS[each]), (_RETURN, 0, 0, _ERROR | errno.EPERM)]
    lines.append((_RETURN, 0, 0, _ALLOW))
    code = b"".join(struct.pack("=HBBI", *line) for line in lines)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for arguments in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SECCOMP, _FILTER, ctypes.byref(_Program(len(lines), code)))):
        if prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "no filter of calls")
