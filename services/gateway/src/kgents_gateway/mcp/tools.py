"""Questions → tools, and a call of one → its result."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog

from kgents_gateway.asking import Asked, ask_within
from kgents_gateway.problems import problem_of
from kgents_gateway.questions import QUESTIONS
from kgents_gateway.questions.arguments import converted
from kgents_gateway.questions.schema import arguments_schema

ANSWER_BYTES_MAX: Final = 65_536
"""About 20,000 tokens: a larger answer would be most of what a model can read. It gets the first part, and the rest in
pages."""

_READ_ONLY: Final = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}

_log = structlog.get_logger(__name__)

TOOLS: Final = {each.name.replace(".", "_"): each for each in QUESTIONS.values()}
"""Tool → question; many clients take no dots in names."""


def listed() -> list[dict[str, Any]]:
    """All tools, as `tools/list` describes them."""
    return [
        {
            "name": name,
            "title": question.summary,
            "description": _description(question.summary, question.arguments.__struct_fields__),
            "inputSchema": arguments_schema(question),
            "annotations": _READ_ONLY,
        }
        for name, question in TOOLS.items()
    ]


async def call(gateway: Asked, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a call. What is wrong with it is a result as well, so that a model can correct itself."""
    question = TOOLS[name]
    try:
        answer = await ask_within(gateway, question, converted(given, question.arguments), ANSWER_BYTES_MAX)
    except Exception as error:  # noqa: BLE001 - what is not foreseen is logged, and its words stay here
        found = problem_of(error)
        if found.status == 500:
            _log.exception("tool_failed", tool=name)
        return {"content": [_text(f"{found.title}: {found.detail}")], "isError": True}
    return {"content": [_text(answer.decode())], "isError": False}


def _description(summary: str, names: tuple[str, ...]) -> str:
    paged = " A large answer is cut: `next` is the `after_id` of the next page." if "after_id" in names else ""
    return f"{summary}. Answers in JSON; nothing can be changed.{paged}"


def _text(text: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"type": "text", "text": text}))
