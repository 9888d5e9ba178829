"""What the bus and other libraries log while a command runs → a line each on stderr.

No structlog, which the services use: importing it costs a command more than its own work.
"""

import logging
from typing import Final

from kgents_cli.output import note
from kgents_cli.sentence import clean

_OWN: Final = frozenset({*vars(logging.LogRecord("", 0, "", 0, "", None, None)), "message", "taskName"})
"""Attributes that every record has; any other is a field of the event."""


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        fields = (f"{name}={value}" for name, value in vars(record).items() if name not in _OWN)
        note(clean(" ".join(("kgents:", record.levelname.lower(), record.getMessage(), *fields))))


def setup(level: str) -> None:
    """Send what is logged at this level or above to stderr; a second call replaces the first."""
    logging.basicConfig(level=level.upper(), handlers=[_Handler()], force=True)
