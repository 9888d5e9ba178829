"""A name as people type it → the matching entities on the stream, with health and alerts."""

from typing import Final

from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.view.entity import EntityView
from kgents_shared.view.find import matches, one
from kgents_shared.view.live import snapshot
from kgents_shared.view.selection import Selection, select

FOUND_MAX: Final = 100
"""Most entities that a name may match: one that matches more is too vague."""


async def find_entities(bus: Bus, text: str, *, within: Selection | None = None) -> list[EntityView]:
    """The entities that a text may mean, best first; see `find.matches`. At most FOUND_MAX.

    Raises:
        BusTimeoutError: the stream could not be read in time.
    """
    refs = matches(text, await _refs(bus, within))
    return [each for ref in refs[:FOUND_MAX] if (each := await read_one(bus, ref)) is not None]


async def find_entity(bus: Bus, text: str, *, within: Selection | None = None) -> EntityView:
    """The one entity that a text means.

    Raises:
        NotFoundError: none, or more than one; the text names the nearest ones.
        BusTimeoutError: the stream could not be read in time.
    """
    ref = one(text, await _refs(bus, within))
    found = await read_one(bus, ref)
    return found if found is not None else await find_entity(bus, text, within=within)


async def read_one(bus: Bus, ref: Ref) -> EntityView | None:
    """One entity with its health and alerts; None if it does not exist.

    Raises:
        BusTimeoutError: the streams could not be read in time.
    """
    exactly = select(cluster=[ref.cluster], kind=[ref.kind], namespace=[ref.namespace], name=[ref.name])
    fold = await snapshot(bus, exactly)
    found = fold.get(ref)
    return found if found is not None and found.topology is not None else None


async def _refs(bus: Bus, within: Selection | None) -> list[Ref]:
    fold = await snapshot(bus, within or select(), signals=("topology",))
    return [each.ref for each in fold.entities()]
