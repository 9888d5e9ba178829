"""Paths → endpoints of a NATS service: a JSON object in, JSON out, problems as everywhere."""

from typing import Any, Final

import msgspec
import structlog

from kgents_gateway.asking import ask_within
from kgents_gateway.problems import TooLargeError, problem_of
from kgents_gateway.queries.paths import PATHS, Path
from kgents_gateway.questions import QUESTIONS
from kgents_gateway.questions.arguments import BadArgumentError, converted
from kgents_gateway.questions.question import Question
from kgents_gateway.questions.schema import arguments_schema
from kgents_gateway.world import Gateway
from kgents_shared.bus.answering import Answer, Endpoint, RequestError

REQUEST_BYTES_MAX: Final = 65_536
ANSWER_BYTES_MAX: Final = 524_288
"""Half of what a server takes by default: the answers of others wait behind a large one."""
DESCRIPTION: Final = "kgents: a running system as entities, health, alerts, events and figures, now and in the past"

_log = structlog.get_logger(__name__)


def endpoints(gateway: Gateway) -> list[Endpoint]:
    """All of them."""
    return [Endpoint(each.name, each.subject, _answering(gateway, each), _metadata(each)) for each in PATHS]


def _metadata(path: Path) -> dict[str, str]:
    question = QUESTIONS[path.question]
    schema = arguments_schema(question, path.fixed)
    return {"summary": question.summary, "question": path.question, "arguments": msgspec.json.encode(schema).decode()}


def _answering(gateway: Gateway, path: Path) -> Answer:
    question = QUESTIONS[path.question]

    async def answer(_subject: str, payload: bytes, room_bytes: int) -> bytes:
        try:
            arguments = _arguments(payload, path, question)
            return await ask_within(gateway, question, arguments, min(room_bytes, ANSWER_BYTES_MAX))
        except Exception as error:
            found = problem_of(error)
            if found.status == 500:
                _log.error("query_failed", subject=path.subject, error=repr(error))
            raise RequestError(found.status, found.detail, msgspec.json.encode(found)) from error

    return answer


def _arguments(payload: bytes, path: Path, question: Question[Any]) -> Any:
    if len(payload) > REQUEST_BYTES_MAX:
        raise TooLargeError(f"expected a request of at most {REQUEST_BYTES_MAX} bytes, found {len(payload)}")
    try:
        given = msgspec.json.decode(payload or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise BadArgumentError("expected a JSON object with the arguments, or nothing") from None
    if fixed := given.keys() & path.fixed.keys():
        raise BadArgumentError(
            f"expected no {min(fixed)}, which this subject stands for; try: world.v1.{path.question}"
        )
    return converted({**given, **path.fixed}, question.arguments)
