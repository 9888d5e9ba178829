"""Renders every log line of a process in one format onto stderr: ours through structlog, a library's through stdlib.

A record passes: logger → level → `_Throttle` (repeats become one line) → `_standard_keys` → JSON or text. Off a
terminal each line is one JSON object; on a terminal it is coloured text. The keys `timestamp level service scope
event`, and `trace_id span_id` inside a span, are ours: a field of the same name in a call is replaced.
"""

import logging
import math
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextvars import Context
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
import structlog
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span
from structlog.typing import EventDict, Processor, WrappedLogger

from kgents_shared.runtime.sections import LogConfig

_LOG_ADDRESSES = ("apprise", "httpcore", "httpx", "urllib3")
"""Libraries that log the whole address of a request below WARNING. That of a webhook is its secret."""
_WINDOW_S = 60.0
_PASSED_PER_WINDOW = 5
# Each remembered event costs some hundred bytes; more distinct warnings in one minute than this are no repetition.
_REMEMBERED = 1024

_encoder = msgspec.json.Encoder(enc_hook=repr)


def setup(config: LogConfig, *, service: str, stream: TextIO | None = None, no_color: bool = False) -> None:
    """Send all logging of this process to one stream; a second call replaces the first.

    Args:
        config: the level and the format.
        service: the name of the service, on every line.
        stream: where lines go. None: stderr as it is now; stdout belongs to the data that commands print.
        no_color: whether text stays without colour on a terminal too, as the variable NO_COLOR asks.
    """
    out = sys.stderr if stream is None else stream
    handler = _Handler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.contextvars.merge_contextvars, structlog.stdlib.ExtraAdder()],
            processors=[_standard_keys(service), *_renderers(config, out, no_color=no_color)],
        )
    )
    root = logging.getLogger()
    for earlier in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(earlier)
        earlier.close()
    root.addHandler(handler)
    root.setLevel(config.level.upper())
    for name in _LOG_ADDRESSES:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _renderers(config: LogConfig, stream: TextIO, *, no_color: bool) -> list[Processor]:
    if config.format == "text" or (config.format == "auto" and stream.isatty()):
        return [
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty() and not no_color,
                sort_keys=False,
                # The default one prints the local variables of every frame, and with them secrets.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    return [structlog.processors.format_exc_info, _json]


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    try:
        return _encoder.encode(event).decode()
    except (TypeError, ValueError):
        # A field that JSON cannot hold (half a surrogate pair, as file names may contain) must not cost the line.
        return _encoder.encode({str(key): ascii(value) for key, value in event.items()}).decode()


def _standard_keys(service: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        record: logging.LogRecord = event.pop("_record")
        if not event.pop("_from_structlog"):
            # Left on the record by another handler's formatter; no extra value may have this name.
            event.pop("message", None)
        ours: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": service,
            "scope": record.name,
            "event": event.pop("event", ""),
        }
        span = get_current_span().get_span_context()
        if span.is_valid:
            ours["trace_id"] = format_trace_id(span.trace_id)
            ours["span_id"] = format_span_id(span.span_id)
        return {**ours, **{key: value for key, value in event.items() if key not in ours}}

    return add


class _Handler(logging.StreamHandler[TextIO]):
    """Writes records to one stream; of a repeated warning only the first ones and a count.

    `logging` holds the handler's lock around `emit`, and thus around the throttle.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._throttle = _Throttle()

    def emit(self, record: logging.LogRecord) -> None:
        self._write(self._throttle.ended(record.created))
        if record.levelno < logging.WARNING or self._throttle.admits(record):
            super().emit(record)

    def close(self) -> None:
        self.acquire()
        try:
            # No later record will end the windows that are still open.
            self._write(self._throttle.ended(math.inf))
        finally:
            self.release()
        super().close()

    def _write(self, summaries: Iterable[logging.LogRecord]) -> None:
        for summary in summaries:
            # In an empty context: the current span and bound values belong to another record.
            Context().run(super().emit, summary)


@dataclass(slots=True)
class _Window:
    """A minute of one event, from its first record. It keeps no record, which could hold a whole stack."""

    began_s: float
    levelno: int
    count: int = 0


class _Throttle:
    """Admits the first records of an event in a minute and counts the others.

    An event is a logger and its message before formatting, so that `%s` and keyword values make no difference.
    """

    def __init__(self) -> None:
        # Oldest first: windows are added in order of time and are equally long.
        self._windows: OrderedDict[tuple[str, str], _Window] = OrderedDict()

    def admits(self, record: logging.LogRecord) -> bool:
        """Count a record; returns whether it may be written."""
        # The constant part of a message: structlog hands over a mapping, stdlib a format.
        event = record.msg.get("event") if isinstance(record.msg, dict) else record.msg
        window = self._windows.setdefault((record.name, str(event)), _Window(record.created, record.levelno))
        window.count += 1
        return window.count <= _PASSED_PER_WINDOW

    def ended(self, now_s: float) -> Iterator[logging.LogRecord]:
        """Forget the windows that ended by now, or that are too many, and yield one line for each with hidden records.

        Runs only with a further record: the count appears with the next line of any level.
        """
        while self._windows:
            (name, event), window = next(iter(self._windows.items()))
            if window.began_s + _WINDOW_S > now_s and len(self._windows) < _REMEMBERED:
                return
            del self._windows[name, event]
            if window.count > _PASSED_PER_WINDOW:
                yield _summary(name, event, window)


def _summary(name: str, event: str, window: _Window) -> logging.LogRecord:
    return logging.makeLogRecord(
        {
            "name": name,
            "levelno": window.levelno,
            "levelname": logging.getLevelName(window.levelno),
            "created": window.began_s + _WINDOW_S,
            "msg": "repeated",
            "repeated_event": event,
            "count_per_minute": window.count,
        }
    )
