"""Rows for analysts: what is not known is null, never a number."""

from datetime import UTC, datetime

import pytest

from kgents_cli.rows import row
from kgents_shared.contract.archive import Stored
from support.build import make_ref

AT = datetime(2026, 6, 1, tzinfo=UTC)


def stored(body: bytes, *, name: str = "cart", is_gone: bool = False) -> Stored:
    return Stored(make_ref(name).subject("health"), 7, AT, is_gone, body)


def test_the_score_of_an_unknown_health_is_null_and_a_score_of_zero_is_zero() -> None:
    assert row("health", stored(b'{"level": "unknown", "score": 0.5}'))["score"] is None
    assert row("health", stored(b'{"level": "critical", "score": 0}'))["score"] == 0.0
    assert row("health", stored(b'{"level": "healthy"}'))["score"] is None


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"[1]", b"{"])
def test_what_is_no_object_is_a_row_of_nulls_with_its_place(body: bytes) -> None:
    found = row("health", stored(body, is_gone=True))
    assert (found["body"], found["level"], found["score"]) == (None, None, None)
    assert (found["name"], found["at"], found["is_removed"]) == ("cart", AT, True)


def test_a_name_that_is_too_long_for_a_subject_is_read_from_the_message() -> None:
    name = "long-" * 80
    body = f'{{"ref": {{"name": "{name}"}}}}'.encode()
    assert row("health", stored(body, name=name))["name"] == name
    assert row("health", stored(b"", name=name))["name"] is None
