"""Errors of the operating system while connecting → whether the connection was refused."""

import errno
import re
from typing import Final

_NUMBER: Final = re.compile(r"\[Errno (\d+)\]")


def is_refused(error: OSError) -> bool:
    """Whether the host answered, and no process listens on the port.

    For a name with several addresses (`localhost` mostly has two) asyncio raises one error without errno; its text
    has the errno of every attempt.
    """
    numbers = {int(number) for number in _NUMBER.findall(str(error))}
    return isinstance(error, ConnectionRefusedError) or errno.ECONNREFUSED in numbers
