"""Manifests and the objects of the cluster → what has drifted, and since when. Pure; time is an argument.

A difference is drift once it has lasted: until then it may be a rollout, of which the manifests or the cluster are
ahead. What cannot be compared is not known, which neither begins drift nor ends it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct, structs

from kgents_collector_k8s.mapping.fragment import SOURCE
from kgents_shared.contract.entity import Entity, Ref, Value
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.kubernetes.desired.drift import Finding, Live, Observed, drift, sentence
from kgents_shared.kubernetes.desired.manifests import Manifest
from kgents_shared.view.find import path_of

IN_LINE: Final = "none"
TEXT_MAX: Final = 400
"""Characters of what differs: it is part of a sentence."""
NAMES_SHOWN: Final = 5
"""Of missing objects."""


class ManifestSet(Struct, frozen=True):
    """One directory or file of manifests, as it was read last."""

    name: str
    manifests: Sequence[Manifest] = ()
    fault: str = ""
    """Why it cannot be read; empty: it was."""


class Verdict(Struct, frozen=True):
    """What is known of one object."""

    text: str | None = None
    """What differs; IN_LINE; None: not known, or not for long enough."""
    since: datetime | None = None
    """Since when it differs."""
    is_drift: bool = False
    """Whether it has lasted, as far as is known."""

    @property
    def attributes(self) -> dict[str, Value]:
        """As its entity has them."""
        if not self.is_drift or self.since is None:
            return {attribute.DRIFT: self.text}
        return {attribute.DRIFT: self.text, attribute.DRIFT_SINCE: f"{self.since:%Y-%m-%dT%H:%M:%SZ}"}


def observed(entity: Entity, unread: Sequence[Unread]) -> Observed:
    """An entity as it is compared; `unread` is what is not attested now."""
    connections = entity.connections
    return Observed(
        entity.ref,
        entity.labels,
        entity.attributes,
        entity.cut,
        is_stale=any(each.covers(entity.ref, entity.part) for each in unread),
        is_owned=any((each.kind, each.direction) == (edges.OWNS, "in") for each in connections),
        scales=tuple(each.peer for each in connections if each.kind == edges.SCALES),
    )


class Drifting:
    """The objects of one cluster that manifests state, from comparison to comparison."""

    def __init__(self, cluster: str, after_s: float, published: Iterable[Entity]) -> None:
        """`published` are the entities as the stream holds them, so that a restart changes nothing of what they say."""
        self._cluster = cluster
        self._after = timedelta(seconds=after_s)
        self._verdicts = {
            each.ref: _published(each.attributes) for each in published if attribute.DRIFT in each.attributes
        }
        self._faults: dict[Ref, str] = {}

    def added_to(self, entity: Entity) -> Entity:
        """The entity with what is known of its drift; as it is, if no manifest states it."""
        verdict = self._verdicts.get(entity.ref)
        if verdict is None:
            return entity
        return structs.replace(entity, attributes={**entity.attributes, **verdict.attributes})

    def entities(self) -> Iterator[Entity]:
        """The entity of each set that was compared: it stands for the objects that are missing."""
        for ref, fault in self._faults.items():
            status = "unknown" if fault else "running"
            yield self.added_to(Entity(ref=ref, source=SOURCE, status=status, reason=fault))

    def ref(self, name: str) -> Ref:
        """The name of the entity of a set."""
        return Ref(self._cluster, kinds.MANIFESTS, name)

    def compare(self, sets: Sequence[ManifestSet], live: Live, now: datetime) -> set[Ref]:
        """Compare all sets with the cluster; returns the objects of which something else is now known."""
        is_whole = not any(each.fault for each in sets)
        found = dict(_found(drift([one for each in sets for one in each.manifests], live), is_whole=is_whole))
        if not is_whole:  # what an unreadable set states is not known
            unread = self._verdicts.keys() - found.keys()
            found |= dict.fromkeys((ref for ref in unread if ref.kind != kinds.MANIFESTS), None)
        before = self._verdicts
        self._verdicts = {ref: _next(text, before.get(ref), now, self._after) for ref, text in found.items()}
        for each in sets:
            ref = self.ref(each.name)
            self._faults[ref] = each.fault
            self._verdicts[ref] = _next(self._missing(each, live), before.get(ref), now, timedelta())
        return {ref for ref in before.keys() | self._verdicts.keys() if before.get(ref) != self._verdicts.get(ref)}

    def _missing(self, of: ManifestSet, live: Live) -> str | None:
        """The objects of a set that have been missing for long enough; None: not known."""
        if of.fault:
            return None
        absent = {ref: self._verdicts.get(ref) for ref in map(live.ref, of.manifests) if ref not in live.objects}
        known = {ref: verdict.text for ref, verdict in absent.items() if verdict is not None}
        names = sorted(path_of(ref) for ref, text in known.items() if text is not None)
        if names:
            more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
            return f"missing: {', '.join(names[:NAMES_SHOWN])}{more}"
        return None if known else IN_LINE


def _found(findings: Iterable[Finding], *, is_whole: bool) -> Iterator[tuple[Ref, str | None]]:
    for each in findings:
        match each.state:
            case "in line":
                yield each.ref, IN_LINE
            case "different" | "missing":
                yield each.ref, _bounded(sentence(each))
            case "extra":  # it may be what a set states that cannot be read
                yield each.ref, _bounded(sentence(each)) if is_whole else None
            case "unknown":
                yield each.ref, None
            case "not compared":
                pass


def _bounded(text: str) -> str:
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 1]}…"


def _next(text: str | None, before: Verdict | None, now: datetime, after: timedelta) -> Verdict:
    """What is known after a comparison."""
    if text == IN_LINE:
        return Verdict(IN_LINE)
    was_drift = before is not None and before.is_drift
    if text is None:  # what was drift may still be; a difference that had not lasted begins again
        return Verdict(None, before.since, is_drift=True) if before is not None and was_drift else Verdict()
    since = before.since if before is not None and before.since is not None else now
    if was_drift or now - since >= after:
        return Verdict(text, since, is_drift=True)
    return Verdict(None, since)


def _published(attributes: Mapping[str, Value]) -> Verdict:
    text, since = attributes.get(attribute.DRIFT), attributes.get(attribute.DRIFT_SINCE)
    known = text if isinstance(text, str) else None
    if not isinstance(since, str):
        return Verdict(known)
    return Verdict(known, datetime.strptime(since, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC), is_drift=True)
