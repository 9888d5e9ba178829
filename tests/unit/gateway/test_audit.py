"""The line of a decision is in the log whatever else is left out of it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from kgents_gateway.decisions import audit
from kgents_shared.contract.decision import Author
from kgents_shared.runtime.logging import setup
from kgents_shared.runtime.sections import LogConfig


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = list(root.handlers), root.level
    setup(LogConfig(level="error", format="json"), service="gateway", stream=stream)
    yield stream
    for handler in [each for each in root.handlers if each not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    structlog.reset_defaults()


def test_every_decision_is_a_line_at_any_level_however_many_there_are(log: io.StringIO) -> None:
    for number in range(50):
        author = Author(f"token {number}", "http")
        audit.note("silence", author, peer="10.0.0.1", about="PUT /x", status=403, why="expected a right")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [each["by"] for each in lines] == [f"token {number}" for number in range(50)]
    assert {(each["event"], each["peer"], each["status"]) for each in lines} == {("audit", "10.0.0.1", 403)}
