"""Path under docs/reference → the text that belongs there."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from kgents_shared.contract.subjects import FIELDS
from reference import asyncapi, checks, commands, schemas, settings, subjects, vocabulary


def _json(generate: Callable[[], dict[str, Any]]) -> str:
    return json.dumps(generate(), indent=2, ensure_ascii=False) + "\n"


DOCUMENTS: Final[dict[str, Callable[[], str]]] = {
    **{f"schemas/{signal}.json": partial(_json, partial(schemas.schema, signal)) for signal in FIELDS},
    "schemas/webhook.json": partial(_json, schemas.webhook),
    "asyncapi.json": partial(_json, asyncapi.document),
    "subjects.md": subjects.document,
    "vocabulary.md": vocabulary.document,
    "checks.md": checks.document,
    "config.md": settings.document,
    "cli.md": commands.document,
}
"""Every document; the same code gives the same text, on any machine or terminal."""
