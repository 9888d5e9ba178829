"""File systems: mounts, their space and their devices → an entity each, at the mount point that stands for it."""

from collections.abc import Callable, Iterator
from datetime import datetime

from msgspec import structs

from kgents_collector_host.mapping.history import History
from kgents_collector_host.mapping.scope import Fact, Scope, elapsed, per_second, ratio
from kgents_collector_host.proc import Disk, Mount
from kgents_collector_host.sample import FileSystem, Sample
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import host as attribute
from kgents_shared.contract.vocabulary.figures import host as figure
from kgents_shared.contract.vocabulary.figures.figure import FigureName

BECAME_READ_ONLY = "ReadOnly"
NOT_RESPONDING = "NotResponding"


def facts(before: Sample | None, now: Sample, history: History, scope: Scope) -> Iterator[Fact]:
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
        figures |= _transfers(before, now, found.mount)
        yield Fact(entity, structs.replace(scope.pulse(entity, figures), read_at=read_at))


def _reason(found: FileSystem, published: Entity | None) -> str:
    """One that was mounted to be read only is well; one that became so after an error of its disk is not."""
    if found.space is None:
        return NOT_RESPONDING
    if not found.mount.is_read_only or published is None or published.uid != found.mount.device:
        return ""
    became = published.attributes.get(attribute.READ_ONLY) is False or published.reason == BECAME_READ_ONLY
    return BECAME_READ_ONLY if became else ""


def _transfers(before: Sample | None, now: Sample, mount: Mount) -> dict[FigureName, float | None]:
    """What its device reads and writes; nothing where it has none that the kernel counts, as in memory or elsewhere."""
    disk = _disk(now, mount)
    if disk is None:
        return {}
    old, elapsed_s = _disk(before, mount) if before is not None else None, elapsed(before, now)

    def rate(counter: Callable[[Disk], float]) -> float | None:
        return per_second(counter(old) if old is not None else None, counter(disk), elapsed_s)

    done, waited = rate(lambda each: each.transfers), rate(lambda each: each.waited_s)
    found: dict[FigureName, float | None] = {
        figure.DISK_READ_BYTES_PER_SEC: rate(lambda each: each.read_bytes),
        figure.DISK_WRITTEN_BYTES_PER_SEC: rate(lambda each: each.written_bytes),
    }
    if done != 0:  # where none was done, none took any time
        found[figure.DISK_TRANSFER_S] = waited / done if waited is not None and done is not None else None
    return found


def _disk(sample: Sample, mount: Mount) -> Disk | None:
    return sample.disks.get(mount.device) or sample.disks.get(mount.source.rpartition("/")[2])


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
