"""Entities that come from a recording, as in the demo → a note on stderr that they are not observed now."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from kgents_cli.output import WARNING, note
from kgents_cli.sentence import clean
from kgents_shared.contract.vocabulary.attributes.any_entity import REPLAYED_FROM
from kgents_shared.view.entity import EntityView

SHOWN_MAX: Final = 3
"""Recordings that are named."""
_MARK: Final = f'"{REPLAYED_FROM}":'.encode()


def note_replayed(views: Sequence[EntityView]) -> None:
    """Say how many of these come from which recording; nothing if none does."""
    files = Counter(file for each in views if (file := _recording_of(each)))
    for file, count in files.most_common(SHOWN_MAX):
        verb = "is" if count == 1 else "are"
        note(f"{WARNING} {count:,} of {len(views):,} entities {verb} replayed from {clean(file)}, not observed now")


def _recording_of(view: EntityView) -> str:
    payload = view.rows.topology
    if payload is None or _MARK not in payload or view.topology is None:  # nearly always, and without decoding it
        return ""
    return str(view.topology.attributes.get(REPLAYED_FROM) or "")
