"""A question → the JSON Schema of what it takes and answers."""

from collections.abc import Collection
from typing import Any

import msgspec

from kgents_gateway.questions.question import Question

_REF = "#/$defs/"


def arguments_schema(question: Question[Any], without: Collection[str] = ()) -> dict[str, Any]:
    """What it takes, as one object; `without` those that are set already."""
    schema = msgspec.json.schema(question.arguments)
    definitions = schema["$defs"]
    found: dict[str, Any] = definitions.pop(schema["$ref"].removeprefix(_REF))
    found["properties"] = {name: each for name, each in found["properties"].items() if name not in without}
    found.pop("title", None)
    return found | ({"$defs": definitions} if definitions else {})


def answer_schema(question: Question[Any]) -> dict[str, Any]:
    """What it answers."""
    return msgspec.json.schema(question.answer)
