"""File systems: mounts and their space → an entity each, at the mount point that stands for it."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import structs

from kgents_collector_host.mapping.history import History
from kgents_collector_host.mapping.scope import Fact, Scope, ratio
from kgents_collector_host.sample import FileSystem, Sample
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import host as attribute
from kgents_shared.contract.vocabulary.figures import host as figure
from kgents_shared.contract.vocabulary.figures.figure import FigureName

BECAME_READ_ONLY = "ReadOnly"
NOT_RESPONDING = "NotResponding"


def facts(now: Sample, history: History, scope: Scope) -> Iterator[Fact]:
    """Each one."""
    for found in now.file_systems:
        ref = scope.ref(kinds.FILESYSTEM, found.mount.point)
        reason = _reason(found, scope.published.get(ref))
        entity = Entity(
            ref=ref,
            source=scope.source,
            uid=found.mount.device,
            status={"": "running", BECAME_READ_ONLY: "failed"}.get(reason, "unknown"),
            reason=reason,
            attributes={
                attribute.DEVICE: found.mount.source,
                attribute.FILE_SYSTEM_TYPE: found.mount.type,
                attribute.READ_ONLY: found.mount.is_read_only,
            },
            connections=[scope.runs_on("/proc/1/mountinfo")],
        )
        figures = _figures(found, history)
        read_at: dict[str, datetime] = dict.fromkeys(figures, found.read_at)
        yield Fact(entity, structs.replace(scope.pulse(entity, figures), read_at=read_at))


def _reason(found: FileSystem, published: Entity | None) -> str:
    """One that was mounted to be read only is well; one that became so after an error of its disk is not."""
    if found.space is None:
        return NOT_RESPONDING
    if not found.mount.is_read_only or published is None or published.uid != found.mount.device:
        return ""
    became = published.attributes.get(attribute.READ_ONLY) is False or published.reason == BECAME_READ_ONLY
    return BECAME_READ_ONLY if became else ""


def _figures(found: FileSystem, history: History) -> dict[FigureName, float | None]:
    space = found.space
    if space is None:
        return dict.fromkeys((figure.USED_RATIO, figure.USED_BYTES, figure.AVAILABLE_BYTES))
    figures: dict[FigureName, float | None] = {
        figure.USED_RATIO: ratio(space.used_bytes, space.size_bytes),
        figure.USED_BYTES: space.used_bytes,
        figure.AVAILABLE_BYTES: space.available_bytes,
    }
    if space.inodes:
        figures[figure.INODES_USED_RATIO] = (space.inodes - space.inodes_free) / space.inodes
    if (left_s := history.full_in_s(found.mount.point, space.available_bytes)) is not None:
        figures[figure.FULL_IN_S] = left_s
    if found.mount.is_read_only:  # what is written once is always full
        del figures[figure.USED_RATIO]
        figures.pop(figure.INODES_USED_RATIO, None)
    return figures
