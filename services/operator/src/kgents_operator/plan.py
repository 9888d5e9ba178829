"""What there should be, beside what there is → the steps between them. Pure.

No step deletes a volume, a Secret, a StatefulSet or a Cluster of CloudNativePG, and none shrinks a volume.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from kgents_operator.desired.outcome import STATEFULSET, Desired, Place
from kgents_operator.desired.owner import DESIRED, Owner
from kgents_operator.kinds import BY_KIND
from kgents_operator.live import Live, Mark

Json = dict[str, Any]


class Apply(Struct, frozen=True):
    """Apply a document."""

    place: Place
    document: Json
    is_repair: bool = False
    """Whether somebody else has changed or deleted the object since it was applied: another operator, too."""


class Remove(Struct, frozen=True):
    """Delete what is switched off."""

    place: Place
    uid: str


class Grow(Struct, frozen=True):
    """Ask for a larger volume."""

    claim: str
    size: str


Step = Apply | Remove | Grow


def plan(owner: Owner, wanted: Desired[Any], found: Mapping[Place, Live], applied: Mapping[Place, Mark]) -> list[Step]:
    """The steps, in their order.

    Args:
        owner: the resource.
        wanted: what there should be.
        found: what carries our labels.
        applied: the mark of each object after its last apply; a place is missing after a start: it is applied once,
            which changes nothing where nothing differs.
    """
    if wanted.refusal is not None:
        return []
    steps: list[Step] = [*_applied(wanted, found, applied)]
    steps += [Grow(claim, size) for claim, size in wanted.growth.items()]
    return [*steps, *_removed(owner, wanted, found)]


def _applied(wanted: Desired[Any], found: Mapping[Place, Live], applied: Mapping[Place, Mark]) -> Iterator[Apply]:
    for document in wanted.objects:
        place = document["kind"], document["metadata"]["name"]
        current, last = found.get(place), applied.get(place)
        if current is None:
            yield Apply(place, document, is_repair=last is not None)
            continue
        is_same = current.desired == document["metadata"]["annotations"][DESIRED]
        if not is_same or current.mark != last:
            is_ours = last is not None and current.desired == last[0]
            yield Apply(place, document, is_repair=last is not None and (is_same or not is_ours))


def _removed(owner: Owner, wanted: Desired[Any], found: Mapping[Place, Live]) -> Iterator[Remove]:
    """What is ours by its controller, and no longer asked for."""
    asked = {(each["kind"], each["metadata"]["name"]) for each in wanted.objects}
    for place, current in found.items():
        is_ours = any(
            each["uid"] == owner.uid and each.get("controller")
            for each in current.content["metadata"].get("ownerReferences") or ()
        )
        if place not in asked and is_ours and "delete" in BY_KIND[place[0]].verbs:
            yield Remove(place, current.uid)


FOREIGN_IN: Final = (STATEFULSET, "Deployment")


def foreign(wanted: Desired[Any], found: Mapping[Place, Live]) -> list[str]:
    """Containers that somebody added to pods of ours: server-side apply leaves what it does not own."""
    names = []
    for document in wanted.objects:
        place = document["kind"], document["metadata"]["name"]
        if place[0] in FOREIGN_IN and (current := found.get(place)) is not None:
            added = _containers(current.content) - _containers(document)
            names += [f"{place[0]} {place[1]}: {each}" for each in sorted(added)]
    return names


def _containers(document: Json) -> set[str]:
    pod = document["spec"]["template"]["spec"]
    return {each["name"] for part in ("containers", "initContainers") for each in pod.get(part) or ()}
