"""How a connection fails to begin, where the operating system alone speaks: its errors → which it is."""

import errno
import re
from typing import Final

_NUMBER: Final = re.compile(r"\[Errno (\d+)\]")


def is_refused(error: OSError) -> bool:
    """Whether a machine is there and nothing listens.

    Of a name with several addresses (`localhost` mostly has two) asyncio raises one error that has no number of its
    own, and those of all attempts in its text.
    """
    numbers = {int(number) for number in _NUMBER.findall(str(error))}
    return isinstance(error, ConnectionRefusedError) or errno.ECONNREFUSED in numbers
