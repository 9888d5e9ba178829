"""What topology-builder and health-scorer do not keep up to date → a sentence when it begins or ends. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Final

from kgents_cli.sentence import clean
from kgents_shared.contract.attestation import BUILDER, SCORER, Scopes
from kgents_shared.contract.unread import Unread

WRITER: Final = {"topology": BUILDER, "health": SCORER, "alert": SCORER}
"""Signal → who writes it for all sources."""


class Silences:
    """The services that were reported as silent."""

    def __init__(self) -> None:
        self._reported: dict[tuple[str, str], bool] = {}

    def changes(self, silent: Scopes) -> Iterator[tuple[str, str]]:
        """Level and sentence of each service that fell silent, or is at work again, since the last call.

        What cannot be stored may differ from one second to the next: only what becomes everything is reported again.
        """
        for key in self._reported.keys() - silent.keys():
            del self._reported[key]
            yield "healthy", clean(f"{key[1]} of cluster {key[0]} keeps all of it up to date again")
        for key, scopes in silent.items():
            is_everything = any(each.is_everything for each in scopes)
            if key not in self._reported or is_everything > self._reported[key]:
                yield "unknown", clean(f"{key[1]} of cluster {key[0]} {_fault(scopes, is_everything=is_everything)}")
                self._reported[key] = is_everything


def _fault(scopes: Sequence[Unread], *, is_everything: bool) -> str:
    first = next(each for each in scopes if each.is_everything) if is_everything else scopes[0]
    what = "anything" if is_everything else f"{first}{f' and {len(scopes) - 1} more' if len(scopes) > 1 else ''}"
    since = f" since {first.since.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z" if first.since is not None else ""
    return f"does not keep {what} up to date{since}: {first.reason or 'no reason given'}"
