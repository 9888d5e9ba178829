"""Questions as data: arguments → an answer, from the entities as they are now and from the streams."""

from typing import Any, Final

from kgents_gateway.questions import entity, figures, follow, past, state
from kgents_gateway.questions.question import Question

QUESTIONS: Final[dict[str, Question[Any]]] = {
    each.name: each
    for each in (*state.QUESTIONS, *entity.QUESTIONS, *past.QUESTIONS, *figures.QUESTIONS, *follow.QUESTIONS)
}
"""Every question by its name."""
