"""KGENTS_INCIDENT, KGENTS_SILENCE, KGENTS_ACK → what they hold now, and in which clusters alerts are served."""

from collections.abc import Iterable
from typing import Final, TypeVar

import msgspec

from kgents_cli.output import note
from kgents_cli.snapshot import last
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract import subjects
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.archive import VersionsRequest
from kgents_shared.contract.codec import ACK, INCIDENT, NOTICE, SILENCE, Codec
from kgents_shared.contract.errors import KgentsError, MalformedMessageError, NoArchiveError, NotFoundError
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.wire import Wire
from kgents_shared.view.archive import version_pages
from kgents_shared.view.past import EVER

T = TypeVar("T", bound=Wire)

SERVICE: Final = "alert-notifier"
SHORTEST: Final = 4
"""Characters of an id that are enough, if no other one begins so."""


class Stored(msgspec.Struct, frozen=True):
    """One message, decoded and as it is."""

    message: object
    payload: bytes
    seq: int


async def incidents(bus: Bus, cluster: str | None) -> list[tuple[Incident, bytes]]:
    """Every incident that is kept, with its message."""
    return [(each.message, each.payload) for each in await _read(bus, INCIDENT, _filter("incident", cluster))]  # type: ignore[misc]  # of that codec


async def silences(bus: Bus, cluster: str | None) -> list[tuple[Silence, Stored]]:
    """Every silence that has not ended, with its message."""
    return [(each.message, each) for each in await _read(bus, SILENCE, _filter("silence", cluster))]  # type: ignore[misc]  # of that codec


async def notices(bus: Bus, incident: Incident) -> list[bytes]:
    """What each receiver knows of an incident."""
    filter_ = subjects.pattern("notice", cluster=incident.cluster, incident=incident.id)
    return [each.payload for each in await _read(bus, NOTICE, filter_)]


async def acknowledgement(bus: Bus, incident: Incident) -> tuple[Acknowledgement | None, int]:
    """Its last acknowledgement, maybe taken back, and the sequence of that; 0: there is none."""
    filter_ = subjects.pattern("ack", cluster=incident.cluster, incident=incident.id)
    found = max(await last(bus, ACK.signal, [filter_]), key=lambda each: each.seq, default=None)
    if found is None or found.marker:
        return None, found.seq if found is not None else 0
    try:
        return ACK.decode(found.payload, subject=found.subject), found.seq
    except MalformedMessageError:  # what no one can read decides nothing
        return None, found.seq


async def clusters(bus: Bus, named: str | None) -> list[str]:
    """The cluster that is named, or all in which an instance serves alerts.

    Raises:
        KgentsError: there is none.
    """
    if named is not None:
        return [named]
    beats = await last(bus, "meta", [subjects.pattern("meta", service=SERVICE)])
    found = sorted({subjects.parse(each.subject).value("cluster") for each in beats if not each.marker})
    if not found:
        raise KgentsError(
            f"no {SERVICE} reports, so no cluster is known; start one with `kgents run {SERVICE}`, or name --cluster"
        )
    return found


async def one_incident(bus: Bus, cluster: str | None, text: str) -> tuple[Incident, bytes]:
    """The incident whose id begins so.

    Raises:
        NotFoundError: there is none, or more than one.
    """
    return _one(await incidents(bus, cluster), text)


async def known_incident(bus: Bus, cluster: str | None, text: str) -> tuple[Incident, bytes]:
    """The same; one that its stream no longer holds as it was last, from the archive.

    Raises:
        NotFoundError: neither knows it, or more than one.
    """
    found = await incidents(bus, cluster)
    if any(each.id.startswith(text.lower()) for each, _ in found) or len(text) < SHORTEST:
        return _one(found, text)
    try:
        archived = await _archived(bus, cluster, text.lower())
    except NoArchiveError as error:
        note(f"archive: {error}")
        archived = []
    return _one(archived, text)


async def _archived(bus: Bus, cluster: str | None, begins: str) -> list[tuple[Incident, bytes]]:
    """The last message of each incident whose id begins so, but for its removal."""
    found: dict[str, tuple[Incident, bytes]] = {}
    kept = await stream_info(await bus.session(), NAME_BY_SIGNAL[INCIDENT.signal])
    request = VersionsRequest(
        signal=INCIDENT.signal, since=EVER, until=kept.ts, filters=(_filter("incident", cluster),), newest_first=True
    )
    async for page in version_pages(bus, request):
        for each in page.messages:
            if each.is_gone or each.subject in found or not each.subject.rpartition(".")[2].startswith(begins):
                continue
            try:
                found[each.subject] = INCIDENT.decode(each.body, subject=each.subject), each.body
            except MalformedMessageError:
                continue
    return list(found.values())


def _one(known: Iterable[tuple[Incident, bytes]], text: str) -> tuple[Incident, bytes]:
    found = [pair for pair in known if pair[0].id.startswith(text.lower())]
    if len(found) == 1 and len(text) >= SHORTEST:
        return found[0]
    if not found:
        raise NotFoundError(f"no incident {text}; `kgents incidents --all` lists them")
    names = _listed(each.id for each, _ in found)
    raise NotFoundError(f"expected the id of one incident, found {names} for {text}; see `kgents incidents`")


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:3]) + (", …" if len(found) > 3 else "")


def _filter(signal: str, cluster: str | None) -> str:
    return subjects.pattern(signal, **({} if cluster is None else {"cluster": cluster}))


async def _read(bus: Bus, codec: Codec[T], filter_: str) -> list[Stored]:
    found = []
    for each in await last(bus, codec.signal, [filter_]):
        if each.marker:
            continue
        try:
            message = codec.decode(each.payload, subject=each.subject)
        except MalformedMessageError:  # the service that reads it writes a dead letter
            continue
        if not getattr(message, "is_removal", False):
            found.append(Stored(message, each.payload, each.seq))
    return found
