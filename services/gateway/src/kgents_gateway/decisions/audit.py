"""Every decision, also one that is refused → a line in the log: who, what, when, from where, before and after.

Secrets are in none: what people write is masked before it is stored, and no token or address of theirs is known here.
"""

import logging
from typing import Any

import msgspec
import structlog

from kgents_gateway.decisions.decision import Outcome
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.decision import Author
from kgents_shared.contract.silence import Silence

logging.getLogger(__name__).setLevel(logging.INFO)  # whatever is left out of the log: these lines are not
_log = structlog.get_logger(__name__)


def note(
    decision: str, author: Author, *, peer: str, about: str, status: int, why: str = "", outcome: Outcome | None = None
) -> None:
    """Write the line of one decision.

    Args:
        decision: its name.
        author: who decided, as it was recognized.
        peer: the address that the request came from; behind a proxy, that of the proxy.
        about: the path of the request.
        status: of the answer; from 400 on nothing is stored, with 503 that is not known.
        why: it was refused.
        outcome: what is stored.
    """
    _log.info(
        "audit",
        decision=decision,
        by=author.by,
        via=author.via,
        peer=peer,
        about=about,
        status=status,
        why=why,
        is_new=outcome is not None and outcome.is_new,
        before=_plain(outcome.before if outcome is not None else None),
        after=_plain(outcome.stored if outcome is not None else None),
    )


def _plain(message: Acknowledgement | Silence | None) -> Any:
    return msgspec.to_builtins(message) if message is not None else None
