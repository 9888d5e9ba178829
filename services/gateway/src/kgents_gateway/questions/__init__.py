"""Questions as data: arguments → an answer, from the entities as they are now and from the streams."""

from typing import Any, Final

from kgents_gateway.questions import cost, entity, figures, follow, incidents, past, pipeline, state
from kgents_gateway.questions.question import Question

QUESTIONS: Final[dict[str, Question[Any]]] = {
    each.name: each
    for module in (state, incidents, entity, past, figures, cost, follow, pipeline)
    for each in module.QUESTIONS
}
"""Every question by its name."""
