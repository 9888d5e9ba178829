"""Log events are short names that can be counted; what varies is in their fields."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LEVELS = {"debug", "info", "warning", "error", "exception"}


def events(source: str) -> Iterator[str]:
    """What a module logs; an event that is put together instead of named is its code."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="_log"), attr=level), args=[event, *_]) if (
                level in LEVELS
            ):
                yield ast.unparse(event).strip("'")
            case _:
                pass


def test_collectors_log_countable_names() -> None:
    logged = {
        event: path.name
        for path in ROOT.glob("services/collector-*/src/**/*.py")
        for event in events(path.read_text(encoding="utf-8"))
    }
    assert len(logged) > 10
    assert {event: name for event, name in logged.items() if not NAME.fullmatch(event)} == {}


def test_a_sentence_is_no_name() -> None:
    source = '_log.info("a look failed")\n_log.error(f"{name}_failed")\n_log.debug("poll_failed")'
    assert [bool(NAME.fullmatch(event)) for event in events(source)] == [False, False, True]
