"""While not everything is here that an edge holds, its heartbeats wait and none of its entities expires."""

from msgspec import structs

from kgents_shared.bus.state_view import Change
from kgents_shared.contract import subjects
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.meta import EDGE_SYNC, Heartbeat, Meta
from kgents_topology_builder.app import reduce_heartbeat
from kgents_topology_builder.reducer import Reducer
from support.build import NOW, NOW_NS, make_entity, make_ref

SECOND_NS = 1_000_000_000
COLLECTOR = Heartbeat(
    text="", service="collector-k8s", instance="one", version="1", started_at=NOW, state="in_sync", source="k8s"
)  # fmt: skip
KEEPER = structs.replace(COLLECTOR, service=EDGE_SYNC, source="")
CUSTOM = Entity(ref=make_ref("app"), source="own", report_interval_s=10)


class Site:
    """A builder of one cluster, whose messages come over a link."""

    def __init__(self) -> None:
        self.reducer = Reducer(["k8s"], now_ns=NOW_NS)
        self._last: dict[str, Heartbeat] = {}

    def beat(self, beat: Heartbeat, at_s: float, **fields: object) -> None:
        self._change(structs.replace(beat, **fields), at_s)

    def expire(self, beat: Heartbeat, at_s: float) -> None:
        subject = _subject(beat)
        change: Change[Meta] = Change(subject, self._last.pop(subject, None), None, None, 0, _at(at_s))
        reduce_heartbeat(self.reducer, change)

    def _change(self, beat: Heartbeat, at_s: float) -> None:
        subject = _subject(beat)
        change: Change[Meta] = Change(subject, self._last.get(subject), beat, None, 0, _at(at_s))
        self._last[subject] = beat
        reduce_heartbeat(self.reducer, change)

    def stale(self, at_s: float) -> list[str]:
        """Why the source is stale; empty: it is not."""
        self.reducer.tick(_at(at_s))
        found = [each.entity for each in self.reducer.take() if each.ref.kind == "source" and each.entity is not None]
        self._stale = [each.reason for each in found[-1].unread] if found else getattr(self, "_stale", [])
        return self._stale

    def gone(self, at_s: float) -> set[Ref]:
        self.reducer.tick(_at(at_s))
        return {each.ref for each in self.reducer.take() if each.entity is None}


def _at(seconds: float) -> int:
    return NOW_NS + int(seconds * SECOND_NS)


def _subject(beat: Heartbeat) -> str:
    return subjects.build("meta", cluster="test", service=beat.service, instance=beat.instance)


def test_a_heartbeat_counts_only_when_all_is_here_that_it_attests() -> None:
    site = Site()
    site.reducer.upsert(make_entity(), time_ns=NOW_NS)
    site.beat(COLLECTOR, 0)
    site.beat(KEEPER, 0)
    site.stale(1)
    site.beat(KEEPER, 2, state="degraded")
    site.expire(COLLECTOR, 15)
    assert site.stale(31)
    site.beat(KEEPER, 40, state="syncing")
    site.beat(COLLECTOR, 41)
    assert site.stale(42), "it came before what it attests"
    site.beat(KEEPER, 43)
    assert not site.stale(43)


def test_a_heartbeat_that_expires_while_it_waits_does_not_count() -> None:
    site = Site()
    site.reducer.upsert(make_entity(), time_ns=NOW_NS)
    site.beat(KEEPER, 0, state="syncing")
    site.beat(COLLECTOR, 1)
    site.expire(COLLECTOR, 16)
    site.stale(17)
    assert site.stale(40)
    site.beat(KEEPER, 41)
    assert site.stale(42)


def test_nothing_expires_while_the_link_is_cut_and_what_is_gone_expires_after_it() -> None:
    site = Site()
    site.beat(KEEPER, 0)
    site.reducer.upsert(CUSTOM, time_ns=_at(0))
    site.gone(1)
    site.beat(KEEPER, 5, state="degraded")
    assert site.gone(600) == set()
    site.beat(KEEPER, 605)
    assert site.gone(606) == set(), "the time of the cut does not count"
    assert site.gone(605 + 24) == set()
    assert site.gone(605 + 26) == {CUSTOM.ref}, "25 s of its 30 were left"


def test_without_edge_sync_nothing_waits() -> None:
    site = Site()
    site.reducer.upsert(make_entity(), time_ns=NOW_NS)
    site.reducer.upsert(CUSTOM, time_ns=_at(0))
    site.beat(COLLECTOR, 0)
    site.beat(KEEPER, 1, state="degraded")
    site.expire(KEEPER, 16)
    assert site.gone(31 + 15) == {CUSTOM.ref}, "a link that no one reports is no link"


def test_a_standby_of_edge_sync_knows_nothing_of_the_link() -> None:
    site = Site()
    site.beat(KEEPER, 0)
    site.beat(KEEPER, 1, instance="two", state="standby")
    assert not site.reducer.link.is_cut
