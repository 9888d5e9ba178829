"""Log lines as they leave the process."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from opentelemetry import trace

from kgents_shared.bus.config import Secret
from kgents_shared.runtime.logging import setup
from kgents_shared.runtime.sections import LogConfig

pytestmark = pytest.mark.unit


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    setup(LogConfig(), service="collector-nats", stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def line(stream: io.StringIO) -> dict[str, Any]:
    (only,) = lines(stream)
    return only


def send(message: str, *args: object, at: float, level: int = logging.WARNING, name: str = "nats") -> None:
    """Log as the library `name` would have done at this time."""
    record = logging.makeLogRecord(
        {
            "name": name,
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": message,
            "args": args,
            "created": at,
        }
    )
    logging.getLogger(name).handle(record)


def fail(value: str) -> None:
    raise ValueError(f"broken after {len(value)}")


def log(name: str = "kgents.test") -> Any:
    return structlog.stdlib.get_logger(name)


def test_our_line_has_the_standard_keys_first(stream: io.StringIO) -> None:
    log().info("message published", subject="a.b")
    assert list(line(stream)) == ["timestamp", "level", "service", "scope", "event", "subject"]


def test_our_line_says_who_where_and_what(stream: io.StringIO) -> None:
    log().error("publish failed", attempt=2)
    shown = line(stream)
    del shown["timestamp"]
    assert shown == {
        "level": "error",
        "service": "collector-nats",
        "scope": "kgents.test",
        "event": "publish failed",
        "attempt": 2,
    }


def test_a_line_of_a_library_has_the_same_form(stream: io.StringIO) -> None:
    send("lost %s", "a server", at=0.0)
    assert line(stream) == {
        "timestamp": "1970-01-01T00:00:00Z",
        "level": "warning",
        "service": "collector-nats",
        "scope": "nats",
        "event": "lost a server",
    }


def test_extra_values_of_a_library_are_fields(stream: io.StringIO) -> None:
    logging.getLogger("aiohttp").warning("slow", extra={"seconds": 3})
    assert line(stream)["seconds"] == 3


def test_a_field_cannot_replace_the_service(stream: io.StringIO) -> None:
    log().info("x", service="other")
    assert line(stream)["service"] == "collector-nats"


def test_a_line_inside_a_span_names_it(stream: io.StringIO) -> None:
    context = trace.SpanContext(trace_id=0xAB, span_id=0xCD, is_remote=False)
    with trace.use_span(trace.NonRecordingSpan(context)):
        log().info("x")
    shown = line(stream)
    assert (shown["trace_id"], shown["span_id"]) == ("ab".zfill(32), "cd".zfill(16))


def test_a_line_outside_a_span_names_none(stream: io.StringIO) -> None:
    log().info("x")
    assert "trace_id" not in line(stream)


def test_an_exception_is_a_field_of_the_same_line(stream: io.StringIO) -> None:
    try:
        fail("x")
    except ValueError:
        log().exception("failed")
    assert line(stream)["exception"].endswith("ValueError: broken after 1")


def test_a_line_below_the_level_is_not_written(stream: io.StringIO) -> None:
    log().debug("x")
    logging.getLogger("nats").debug("x")
    assert lines(stream) == []


def test_a_secret_in_a_field_stays_hidden(stream: io.StringIO) -> None:
    log().info("connecting", password=Secret("hunter2"))
    assert "hunter2" not in stream.getvalue()


def test_a_secret_in_the_frames_of_an_exception_stays_hidden_on_a_terminal() -> None:
    terminal = Terminal()
    setup(LogConfig(), service="s", stream=terminal)
    value = "hunter2"
    try:
        fail(value)
    except ValueError:
        log().exception("failed")
    assert "broken after 7" in terminal.getvalue()
    assert "hunter2" not in terminal.getvalue()


def test_a_field_that_json_cannot_hold_does_not_cost_the_line(stream: io.StringIO) -> None:
    half_a_surrogate_pair = "\udc80"
    log().info("x", value=half_a_surrogate_pair)
    assert line(stream)["value"] == ascii(half_a_surrogate_pair)


def test_a_field_of_an_unknown_type_is_shown_as_python_shows_it(stream: io.StringIO) -> None:
    log().info("x", value=1 + 2j)
    assert line(stream)["value"] == "(1+2j)"


def test_a_terminal_gets_coloured_text() -> None:
    terminal = Terminal()
    setup(LogConfig(), service="s", stream=terminal)
    log().info("hello")
    assert "\x1b[" in terminal.getvalue()
    assert "hello" in terminal.getvalue()


def test_a_terminal_gets_plain_text_when_colour_is_unwanted() -> None:
    terminal = Terminal()
    setup(LogConfig(), service="s", stream=terminal, no_color=True)
    log().info("hello")
    assert "\x1b[" not in terminal.getvalue()


def test_a_terminal_gets_json_when_asked() -> None:
    terminal = Terminal()
    setup(LogConfig(format="json"), service="s", stream=terminal)
    log().info("hello")
    assert line(terminal)["event"] == "hello"


def test_text_off_a_terminal_has_no_colour() -> None:
    stream = io.StringIO()
    setup(LogConfig(format="text"), service="s", stream=stream)
    log().info("hello")
    assert "\x1b[" not in stream.getvalue()


def test_a_second_setup_replaces_the_first(stream: io.StringIO) -> None:
    second = io.StringIO()
    setup(LogConfig(), service="s", stream=second)
    log().info("x")
    assert (lines(stream), len(lines(second))) == ([], 1)


class TestStorm:
    def test_five_of_a_kind_pass(self, stream: io.StringIO) -> None:
        for second in range(9):
            send("lost %s", second, at=second)
        assert [shown["event"] for shown in lines(stream)] == [f"lost {second}" for second in range(5)]

    def test_after_a_minute_one_line_gives_their_number(self, stream: io.StringIO) -> None:
        for second in range(9):
            send("lost %s", second, at=second)
        send("calm", at=60, level=logging.INFO)
        summary = lines(stream)[5]
        assert (summary["event"], summary["repeated_event"], summary["count_per_minute"], summary["scope"]) == (
            "repeated",
            "lost %s",
            9,
            "nats",
        )

    def test_after_a_minute_the_next_ones_pass(self, stream: io.StringIO) -> None:
        for second in range(9):
            send("lost", at=second)
        send("lost", at=60)
        assert lines(stream)[-1]["event"] == "lost"

    def test_no_more_than_five_leave_no_summary(self, stream: io.StringIO) -> None:
        for second in range(5):
            send("lost", at=second)
        send("calm", at=60, level=logging.INFO)
        assert [shown["event"] for shown in lines(stream)] == ["lost"] * 5 + ["calm"]

    def test_other_events_and_loggers_are_counted_apart(self, stream: io.StringIO) -> None:
        for second in range(5):
            send("lost", at=second)
        send("slow", at=5)
        send("lost", at=5, name="aiohttp")
        assert [(shown["scope"], shown["event"]) for shown in lines(stream)[5:]] == [
            ("nats", "slow"),
            ("aiohttp", "lost"),
        ]

    def test_information_is_never_held_back(self, stream: io.StringIO) -> None:
        for second in range(9):
            send("fine", at=second, level=logging.INFO)
        assert len(lines(stream)) == 9

    def test_our_own_events_count_as_one_whatever_their_fields(self, stream: io.StringIO) -> None:
        for attempt in range(9):
            log().warning("publish failed", attempt=attempt)
        assert len(lines(stream)) == 5

    def test_the_end_of_logging_writes_what_was_held_back(self, stream: io.StringIO) -> None:
        for second in range(9):
            send("lost", at=second)
        setup(LogConfig(), service="s", stream=io.StringIO())
        assert lines(stream)[-1]["count_per_minute"] == 9

    def test_a_summary_belongs_to_no_span(self, stream: io.StringIO) -> None:
        for second in range(9):
            send("lost", at=second)
        context = trace.SpanContext(trace_id=1, span_id=2, is_remote=False)
        with trace.use_span(trace.NonRecordingSpan(context)):
            send("calm", at=60, level=logging.INFO)
        summary, calm = lines(stream)[-2:]
        assert ("trace_id" in summary, "trace_id" in calm) == (False, True)

    def test_a_flood_of_distinct_events_keeps_no_more_than_a_bound(self, stream: io.StringIO) -> None:
        for number in range(5000):
            send(f"event {number}", at=0.0)
        (handler,) = [each for each in logging.getLogger().handlers if hasattr(each, "_throttle")]
        assert len(handler._throttle._windows) <= 1024
