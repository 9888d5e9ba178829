"""How the bus logs: through Python's own logging, so that a program which only uses the bus decides where lines go.

Unconfigured, structlog would print to stdout, among the data of whoever follows a stream.
"""

import logging

import structlog


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose fields become attributes of the log record; `runtime.logging` renders them as fields again."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return logger
