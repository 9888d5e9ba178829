"""Logging of the bus: through Python's own logging, so that a program that only uses the bus decides where lines go."""

import logging
from typing import Any, Final


class Logger:
    """Events with fields; `runtime.logging` renders the attributes of a record as fields again."""

    def __init__(self, name: str) -> None:
        self._logger: Final = logging.getLogger(name)

    def info(self, event: str, **fields: Any) -> None:
        self._logger.info(event, extra=fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._logger.warning(event, extra=fields)

    def error(self, event: str, **fields: Any) -> None:
        self._logger.error(event, extra=fields)


def get_logger(name: str) -> Logger:
    """The logger of a module, named like it."""
    return Logger(name)
