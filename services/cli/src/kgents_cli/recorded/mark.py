"""What comes from a recording, as in the demo → a note on stderr that it is not observed now."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from kgents_cli.output import WARNING, note
from kgents_cli.sentence import clean
from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.vocabulary.attributes.any_entity import REPLAYED_FROM
from kgents_shared.view.entity import EntityView
from kgents_shared.view.live import snapshot
from kgents_shared.view.selection import Selection

SHOWN_MAX: Final = 3
"""Recordings that are named."""
ASKED_MAX: Final = 3
"""Clusters, and entities of each, that are read where only what happened to them is shown."""
WITHIN_S: Final = 2.0
_MARK: Final = f'"{REPLAYED_FROM}":'.encode()


def note_replayed(views: Sequence[EntityView]) -> None:
    """Say how many of these come from which recording; nothing if none does."""
    files = Counter(file for each in views if (file := _recording_of(each)))
    for file, count in files.most_common(SHOWN_MAX):
        verb = "is" if count == 1 else "are"
        note(f"{WARNING} {count:,} of {len(views):,} entities {verb} replayed from {clean(file)}, not observed now")


async def note_replayed_at(bus: Bus, refs: Iterable[Ref]) -> None:
    """The same where what happened to some entities is shown, and not they themselves: by a few of each cluster."""
    by_cluster: defaultdict[str, dict[Ref, None]] = defaultdict(dict)
    for ref in refs:
        by_cluster[ref.cluster][ref] = None
    for cluster in sorted(by_cluster)[:ASKED_MAX]:
        for ref in list(by_cluster[cluster])[:ASKED_MAX]:
            if file := await _recording_at(bus, ref):
                note(f"{WARNING} what is shown of {cluster} is replayed from {clean(file)}, not observed now")
                break


async def _recording_at(bus: Bus, ref: Ref) -> str:
    only = Selection(clusters=(ref.cluster,), kinds=(ref.kind,), namespaces=(ref.namespace,), names=(ref.name,))
    with suppress(BusError):
        fold = await snapshot(bus, only, signals=("topology",), timeout_s=WITHIN_S)
        return next((file for each in fold.entities() if (file := _recording_of(each))), "")
    return ""


def _recording_of(view: EntityView) -> str:
    payload = view.rows.topology
    if payload is None or _MARK not in payload or view.topology is None:  # nearly always, and without decoding it
        return ""
    return str(view.topology.attributes.get(REPLAYED_FROM) or "")
