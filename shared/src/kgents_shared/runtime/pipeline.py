"""KGENTS_META → which services are alive, how well each works, and what is missing. Pure.

The one judgement of the pipeline itself: `kgents doctor` prints it, and the gateway answers with it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import msgspec

from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract import subjects
from kgents_shared.contract.attestation import BUILDER, SCORER, Scopes
from kgents_shared.contract.codec import META
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.meta import (
    ATTENDANCE,
    BEGINNING_STATES,
    HEARTBEAT_INTERVAL_S,
    HEARTBEAT_TTL_S,
    LEASE,
    LEASE_TTL_S,
    READY_STATES,
    STALL_S,
    Cost,
    Heartbeat,
    is_reserved,
)
from kgents_shared.runtime.holders import Holding, holdings
from kgents_shared.runtime.sharing import COLLECTOR, installed_as

T = TypeVar("T")

LATE_S: Final = HEARTBEAT_TTL_S + HEARTBEAT_INTERVAL_S
"""The server drops a heartbeat when its time is over, but not to the second; older ones are late."""
EXPIRED_S: Final = 60.0
"""For how long a dropped heartbeat that no other instance replaces is reported. By then the entities of its source are
stale, and a cluster that no service writes is known."""

HANDOVER_S: Final = 5.0
"""How long a service may be absent between two instances: one that is started again, a lease that has just ended."""
BEGINNING_S: Final = 15.0
"""How long after its start an instance may not be in sync; then its source or cluster is stale, too."""

REFUSED: Final = "permissions violation"
"""In the words of nats-server, for what a login may not do."""

_LISTED: Final = 20
"""Clusters of an instance that are named."""
_NS_PER_S: Final = 1_000_000_000


class Verdict(msgspec.Struct, frozen=True):
    """The result of one check."""

    is_ok: bool | None
    """Null: neither right nor wrong, but good to know."""
    text: str
    next_step: str = ""
    """The command to run; empty if there is none, or if the text names it."""


class Instance(msgspec.Struct, frozen=True):
    """One instance of a service, as it reports under one cluster."""

    cluster: str
    service: str
    instance: str
    is_alive: bool
    """It reported within the last 20 s, by the server's clock, and has not stopped."""
    is_ok: bool | None
    """Whether it does what it should; null: it does, as far as it can read what it observes."""
    age_s: float
    """Of its last heartbeat."""
    heartbeat: Heartbeat | None
    """The last one: state, reason, lag, watermark, buffer, unread scopes, cost. Null: it is silent for so long that the
    server has dropped it, a minute ago at most, and no other instance reports in its place."""

    @property
    def state(self) -> str:
        """As it last reported; empty: the server has dropped its report."""
        return self.heartbeat.state if self.heartbeat is not None else ""

    @property
    def source(self) -> str:
        """The source whose entities it attests; empty: none."""
        return self.heartbeat.source if self.heartbeat is not None else ""


class Reports(msgspec.Struct, frozen=True):
    """What is known of the services."""

    meta: Mapping[str, object]
    """Subject → heartbeat, lease or dead letter …"""
    ages_s: Mapping[str, float]
    """… and its age, by the server's clock."""
    malformed: Mapping[str, str] = {}
    """Subject → why its message cannot be read."""
    expired_s: Mapping[str, float] = {}
    """Subject → how long ago the server dropped its message."""
    unattested: Scopes = {}
    """Cluster and source → what of it is stale, as the topology has it."""
    clusters: Collection[str] = ()
    """Those that have entities."""
    is_whole: bool = True
    """Whether this is about all clusters."""
    now_ns: int = 0
    """The server's time; 0: not known."""

    @classmethod
    def read(cls, deliveries: Iterable[Delivery], now_ns: int) -> "Reports":
        """From the last message of each subject of KGENTS_META."""
        meta: dict[str, object] = {}
        ages_s: dict[str, float] = {}
        malformed: dict[str, str] = {}
        expired_s: dict[str, float] = {}
        for each in deliveries:
            age_s = max(0.0, (now_ns - each.time_ns) / _NS_PER_S)
            try:
                if _place(each.subject)[1] == ATTENDANCE:  # of what was, and no service
                    continue
                if each.marker:
                    expired_s[each.subject] = age_s
                else:
                    meta[each.subject] = META.decode(each.payload, subject=each.subject)
                    ages_s[each.subject] = age_s
            except MalformedMessageError as error:
                malformed[each.subject] = str(error)
        return cls(meta, ages_s, malformed, expired_s, now_ns=now_ns)

    def within(self, takes: Callable[[str], bool]) -> "Reports":
        """What is known of some clusters alone."""
        return msgspec.structs.replace(
            self,
            meta=_within(self.meta, takes),
            malformed=_within(self.malformed, takes),
            expired_s=_within(self.expired_s, takes),
            unattested={key: each for key, each in self.unattested.items() if takes(key[0])},
            clusters=[each for each in self.clusters if takes(each)],
            is_whole=False,
        )

    def instances(self) -> list[Instance]:
        """Each one that reports or lately fell silent, by service, cluster and name."""
        beats = [(subject, each) for subject, each in self.meta.items() if isinstance(each, Heartbeat)]
        alive = {_place(subject) for subject, beat in beats if self._is_alive(subject, beat)}
        found = [self._instance(subject, beat, alive) for subject, beat in beats]
        found += self._silent({_place(subject) for subject, _ in beats})
        return sorted(found, key=lambda each: (each.service, each.cluster, each.instance))

    def holdings(self) -> list[Holding]:
        """Which instance holds which cluster, for each service that shares them."""
        return list(holdings({subject: each for subject, each in self.meta.items() if self.ages_s[subject] <= LATE_S}))

    def verdicts(self, expected: Collection[str] = ()) -> Iterator[Verdict]:
        """On each instance, on what no instance does, and on who holds what.

        `expected`: services that should report, beside any collector.
        """
        instances = self.instances()
        yield from map(_verdict, instances)
        reporting = {installed_as(each.service) for each in instances if each.heartbeat is not None}
        for name in sorted(set(expected) - reporting):
            yield Verdict(False, f"{name} is installed, but does not report", f"kgents run {name}")
        if self.is_whole and not any(map(_is_collecting, instances)):
            yield Verdict(False, "no collector reports, so nothing is observed", "kgents up")
        yield from self._waiting(instances)
        yield from self._unobserved(instances)
        yield from _unattended(instances, self.clusters)
        for holding in self.holdings():
            yield from _held(holding)
        for subject, why in sorted(self.malformed.items()):
            yield Verdict(None, f"{subject} cannot be read: {why}")

    def _is_alive(self, subject: str, beat: Heartbeat) -> bool:
        return self.ages_s[subject] <= LATE_S and beat.state != "stopped"

    def _instance(self, subject: str, beat: Heartbeat, alive: Collection[tuple[str, str]]) -> Instance:
        place, is_alive = _place(subject), self._is_alive(subject, beat)
        is_ok: bool | None = is_alive and beat.state in READY_STATES
        if is_ok and beat.state == "in_sync" and beat.reason:
            is_ok = None
        if beat.state == "stopped" and (place in alive or self.ages_s[subject] <= HANDOVER_S):  # another one goes on
            is_ok = None
        if is_alive and self._is_beginning(beat):
            is_ok = None
        return Instance(*place, beat.instance, is_alive, is_ok, self.ages_s[subject], beat)

    def _is_beginning(self, beat: Heartbeat) -> bool:
        age_s = self.now_ns / _NS_PER_S - beat.started_at.timestamp()
        return beat.state in BEGINNING_STATES and bool(self.now_ns) and age_s <= BEGINNING_S

    def _waiting(self, instances: Iterable[Instance]) -> Iterator[Verdict]:
        """Collectors of which every live instance stands by: the one that they wait for has ended without a word.

        What it attested stays attested for 15 s, and until its lease ends no other one may write.
        """
        states: dict[tuple[str, str], set[str]] = {}
        for each in instances:
            if each.is_alive and each.service.startswith(COLLECTOR):
                states.setdefault((each.cluster, each.service), set()).add(each.state)
        for (cluster, service), found in states.items():
            if found == {"standby"}:
                is_soon = self._is_leased(cluster, service) and not self._is_stale(cluster, service)
                text = f"{cluster}: {service} stands by for an instance that does not report"
                when = f"; one takes over when its lease ends, within {LEASE_TTL_S} s" if is_soon else ""
                run = f"kgents run {installed_as(service)}"
                yield Verdict(None if is_soon else False, text + when, "" if is_soon else run)

    def _is_leased(self, cluster: str, service: str) -> bool:
        """Whether an instance still may write, or might a moment ago."""
        subject = subjects.build("meta", cluster=cluster, service=service, instance=LEASE)
        return subject in self.meta or self.expired_s.get(subject, EXPIRED_S) <= HANDOVER_S

    def _is_stale(self, cluster: str, service: str) -> bool:
        scopes = self.unattested.get((cluster, service.removeprefix(COLLECTOR)), ())
        return any(each.is_everything for each in scopes)

    def _silent(self, reporting: Collection[tuple[str, str]]) -> Iterator[Instance]:
        """Those that stopped reporting a moment ago, and that no other instance replaces: the last of each service."""
        lost: dict[tuple[str, str], tuple[float, str]] = {}
        for subject, age_s in self.expired_s.items():
            instance = subjects.parse(subject).tokens["instance"]
            place = _place(subject)
            if age_s <= EXPIRED_S and place not in reporting and not is_reserved(instance):
                lost[place] = min(lost.get(place, (age_s, instance)), (age_s, instance))
        for place, (age_s, instance) in lost.items():
            yield Instance(*place, subjects.unescape(instance), False, False, HEARTBEAT_TTL_S + age_s, None)

    def _unobserved(self, instances: Iterable[Instance]) -> Iterator[Verdict]:
        """Sources whose entities are all stale, and that no collector reports on."""
        reporting = {(each.cluster, each.source) for each in instances}
        for (cluster, source), scopes in sorted(self.unattested.items()):
            whole = next((each for each in scopes if each.is_everything), None)
            if whole is not None and (cluster, source) not in reporting:
                text = f"{cluster}: no collector reports on the source {source}; its entities are stale"
                yield Verdict(False, text, f"kgents run {installed_as(COLLECTOR + source)}")


def _within(found: Mapping[str, T], takes: Callable[[str], bool]) -> dict[str, T]:
    """What is about these clusters, by its subject; what is on no subject of ours is about none."""
    kept: dict[str, T] = {}
    for subject, each in found.items():
        with suppress(MalformedMessageError):
            if takes(_place(subject)[0]):
                kept[subject] = each
    return kept


def _place(subject: str) -> tuple[str, str]:
    """Cluster and service."""
    parsed = subjects.parse(subject)
    return parsed.value("cluster"), parsed.tokens["service"]


def _verdict(each: Instance) -> Verdict:
    run = _permissions(each) if _is_refused(each) else f"kgents run {installed_as(each.service)}"
    if each.heartbeat is None:
        text = f"{each.cluster}: {each.service} {each.instance} has not reported for {each.age_s:.0f} s"
        return Verdict(False, text, run)
    if each.age_s > LATE_S:
        return Verdict(False, _late(each), run)
    return Verdict(each.is_ok, _account(each.cluster, each.heartbeat), run if each.is_ok is False else "")


def _is_refused(each: Instance) -> bool:
    """Whether its login may not do all that it needs."""
    return each.is_alive and each.heartbeat is not None and REFUSED in each.heartbeat.reason.lower()


def _permissions(each: Instance) -> str:
    """What prints all that its login needs; a collector's is of its cluster, and maybe of its place."""
    installed = installed_as(each.service)
    place = each.service.removeprefix(installed).removeprefix("-")
    cluster = ["--cluster", each.cluster] if each.source else []
    return " ".join(["kgents permissions", installed, *cluster, *(["--place", place] if place else [])])


def _is_collecting(each: Instance) -> bool:
    """Whether it observes, stands by, begins, or was started again a moment ago."""
    return each.service.startswith(COLLECTOR) and (each.is_alive or each.age_s <= HANDOVER_S)


def _unattended(instances: Iterable[Instance], clusters: Collection[str]) -> Iterator[Verdict]:
    """Clusters that are observed, and whose topology or health no service keeps up to date."""
    live = [each for each in instances if each.is_alive]
    observed = dict.fromkeys([*(each.cluster for each in live if each.source), *clusters])
    for service, output in ((BUILDER, "topology"), (SCORER, "health")):
        served = {each.cluster for each in live if each.service == service and each.state != "standby"}
        if missing := [cluster for cluster in observed if cluster not in served]:
            text = f"{service}: no instance reports on {_listed(missing)}: nothing keeps the {output} there up to date"
            yield Verdict(False, text, f"kgents run {service}")


def _held(holding: Holding) -> Iterator[Verdict]:
    """Who writes which cluster, where that is a question; and what has no writer."""
    count = sum(map(len, holding.held.values()))
    if len(holding.held) > 1 or count > 1:
        shares = "; ".join(f"{instance} {_listed(clusters)}" for instance, clusters in holding.held.items())
        clusters = f"{count} cluster{'' if count == 1 else 's'}"
        yield Verdict(True, f"{holding.service}: {clusters} on {len(holding.held)} instances: {shares}")
    if waiting := [each for each in holding.free if each not in holding.barred]:
        text = f"{holding.service}: no instance holds {_listed(waiting)} at this moment; one takes it within seconds"
        yield Verdict(None, text)
    if holding.barred:
        text = f"{holding.service}: no instance may write {_listed(holding.barred)} by its configured clusters"
        yield Verdict(False, text, f"kgents run {holding.service}")


def _listed(clusters: Sequence[str]) -> str:
    if not clusters:
        return "stands by"
    more = f" and {len(clusters) - _LISTED} more" if len(clusters) > _LISTED else ""
    return f"{', '.join(clusters[:_LISTED])}{more}"


def _late(each: Instance) -> str:
    """A heartbeat that is no sign of life, and which a server that can write would have dropped."""
    return (
        f"{each.cluster}: expected a report of {each.service} {each.instance} at most {LATE_S:g} s old, found the last "
        f"one {each.age_s:.0f} s old, and still on the server: NATS may be unable to write; check its disk and its "
        "log, and restart it once there is space: until then it stores nothing"
    )


def _account(cluster: str, beat: Heartbeat) -> str:
    """A heartbeat in words."""
    facts = [
        f"version {beat.version}",
        *([f"lag {beat.lag_s:.1f} s"] if beat.lag_s is not None else []),
        *([f"{beat.rows} rows"] if beat.rows else []),
        *([f"{count} {name}" for name, count in _troubles(beat) if count]),
        *([_buffered(beat)] if beat.spilled else []),
        *(_cost(beat.cost) if beat.cost is not None else []),
    ]
    return f"{cluster}: {beat.text} ({', '.join(facts)})"


def _buffered(beat: Heartbeat) -> str:
    """How much waits on disk for NATS to take it, and how full that makes the buffer."""
    full = f", {beat.spilled_bytes / beat.spilled_max_bytes:.0%} of the buffer" if beat.spilled_max_bytes else ""
    return f"{beat.spilled} messages waiting on disk{full}".replace("%", " %")


def _cost(cost: Cost) -> Iterator[str]:
    yield f"{cost.cpu_percent:.1f} % of a core, {cost.memory_bytes >> 20} MiB"
    if cost.longest_stall_s > STALL_S:
        yield f"computed for {cost.longest_stall_s * 1000:.0f} ms without a pause"


def _troubles(beat: Heartbeat) -> tuple[tuple[str, int], ...]:
    return (
        ("conflicts", beat.conflicts),
        ("dead letters", beat.dead_letters),
        ("messages dropped", beat.evicted),
    )
