"""The least permissions of a login: which subjects a program reads and writes → what NATS has to allow it. Pure.

Nothing is listed here: every request is named by the function that makes it (`requests`), every subject by the filters
that a program itself reads and writes by.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from kgents_shared.bus import requests
from kgents_shared.bus.requests import api_prefix_of
from kgents_shared.bus.sources import deliver_of
from kgents_shared.contract import audit, meta, subjects
from kgents_shared.contract.attestation import WRITERS
from kgents_shared.contract.meta import EDGE_SYNC
from kgents_shared.contract.streams import (
    COLLECTED,
    COPIED,
    HISTORY_STREAMS,
    NAME_BY_SIGNAL,
    STATE_SIGNALS,
    copy_of,
)

ANY = "*"
ASK_ARCHIVE = "ask the archive for what the streams have forgotten"


class Permission(msgspec.Struct, frozen=True):
    """One subject, and what for."""

    subject: str
    why: str


class Permissions(msgspec.Struct, frozen=True):
    """What a login may publish and subscribe, each subject once; nothing else."""

    publish: tuple[Permission, ...]
    subscribe: tuple[Permission, ...]
    responds: bool = False
    """One message to the reply subject of each request that comes, whatever it is."""

    def without(self, subject: str) -> "Permissions":
        """All but one."""
        publish, subscribe = (
            tuple(each for each in side if each.subject != subject) for side in (self.publish, self.subscribe)
        )
        return Permissions(publish, subscribe, self.responds)


def together(found: Iterable[Permissions]) -> Permissions:
    """Of one login that several programs share."""
    found = list(found)
    publish = {each.subject: each for one in found for each in one.publish}
    subscribe = {each.subject: each for one in found for each in one.subscribe}
    return Permissions(tuple(publish.values()), tuple(subscribe.values()), any(one.responds for one in found))


class Grants:
    """Collects the permissions of one login."""

    def __init__(self, *, api_prefix: str, inbox_prefixes: Iterable[str]) -> None:
        """The prefixes of requests to JetStream and of replies."""
        self._api = api_prefix
        self._publish: dict[str, str] = {}
        self._subscribe: dict[str, str] = {}
        self._responds = False
        for each in inbox_prefixes:
            self.subscribe(f"{each}.>", "replies and acks")

    def permissions(self) -> Permissions:
        """All of them, without those that another one includes."""
        return Permissions(_widest(self._publish), _widest(self._subscribe), self._responds)

    def publish(self, subject: str, why: str) -> None:
        """Publish a subject."""
        self._publish.setdefault(subject, why)

    def subscribe(self, subject: str, why: str) -> None:
        """Subscribe to a subject."""
        self._subscribe.setdefault(subject, why)

    def answer(self, name: str, filters: Sequence[str]) -> None:
        """Answer requests under some filters, as the NATS service with this name."""
        for each in filters:
            self.subscribe(each, "requests that it answers")
        for verb in requests.DISCOVERY if filters else ():
            for each in requests.discovery_of(verb, name, ANY):
                self.subscribe(each, "be found as a NATS service")
        self._responds = self._responds or bool(filters)

    def ask(self, request: str, why: str) -> None:
        """Make a request to JetStream."""
        self.publish(f"{self._api}{request}", why)

    def read(self, signal: str, filters: Iterable[str], *, keeps_time: bool = False) -> None:
        """Read a signal's stream under some filters, each by a consumer of its own; maybe by the server's clock."""
        stream = NAME_BY_SIGNAL[signal]
        self.ask(requests.info_of(stream), f"whether {stream} is there, and what it holds")
        for each in filters:
            self.ask(requests.consumer_of(stream, ANY, [each]), f"read {stream}")
        self.ask(requests.messages_of(stream, ANY), f"read {stream}")
        if keeps_time:
            self.ask(requests.progress_of(stream, ANY), f"the server's clock, while nothing comes from {stream}")
        self.ask(requests.end_of(stream, ANY), f"end reading {stream}")

    def catch_up(self, signal: str, filters: Iterable[str]) -> None:
        """Read the copy of a signal's stream that may be kept for the archive."""
        copy = copy_of(signal)
        self.ask(requests.info_of(copy), f"whether {copy} is there, and what it holds")
        for each in filters:
            self.ask(requests.consumer_of(copy, ANY, [each]), f"read {copy}")
        self.ask(requests.messages_of(copy, ANY), f"read {copy}")
        self.ask(requests.end_of(copy, ANY), f"end reading {copy}")

    def write(self, signal: str, filters: Iterable[str]) -> None:
        """Write a signal, and read back what was written: of a log, what got no ack."""
        stream = NAME_BY_SIGNAL[signal]
        filters = list(filters)
        for each in filters:
            self.publish(each, f"write {stream}")
        self.read(signal, filters)
        if signal not in STATE_SIGNALS:
            return
        for each in filters:
            self.ask(requests.last_of(stream, each), f"read back what was written to {stream}")
        if stream in HISTORY_STREAMS:
            self.ask(requests.purge_of(stream), "drop the history of what was removed 3.5 days ago")

    def decide(self, signals: Collection[str], clusters: Sequence[str | None]) -> None:
        """Store what people decide in some clusters, None for all, each in place of what was decided before."""
        for signal in signals:
            stream = NAME_BY_SIGNAL[signal]
            self.ask(requests.info_of(stream), f"whether {stream} is there, and what it holds")
            for each in signal_filters(signal, clusters):
                self.publish(each, f"store in {stream} what people decide")
                self.ask(requests.last_of(stream, each), f"what a decision replaces in {stream}")

    def record(self, actions: Iterable[str], clusters: Iterable[str | None]) -> None:
        """Record some actions in the audit trail; what is recorded cannot be changed."""
        clusters = list(clusters)
        for action in actions:
            for each in signal_filters("audit", clusters, action=action):
                self.publish(each, f"record in {NAME_BY_SIGNAL['audit']}")

    def recall(self, signals: Collection[str]) -> None:
        """Read whatever is asked for, in all clusters: of a state also as it was, of a log by several filters.

        And the heartbeats of those who write it: what they do not keep up to date is stale.
        """
        if signals:
            self.read("meta", signal_filters("meta", [None]), keeps_time=True)
        for signal in signals:
            stream = NAME_BY_SIGNAL[signal]
            self.read(signal, signal_filters(signal, [None]))
            if signal in STATE_SIGNALS or signal == "pulse":  # of which the last one of each entity is a state, too
                self.ask(requests.past_of(stream), f"read {stream} as it was")
            if signal not in STATE_SIGNALS:
                self.ask(requests.consumer_of(stream, ANY, []), f"read {stream} by several filters")

    def report(self, service: str, cluster: str | None) -> None:
        """Run a service for a cluster (None: for any): its heartbeats, leases and dead letters."""
        stream = NAME_BY_SIGNAL["meta"]
        self.ask(requests.info_of(stream), f"whether {stream} is there, and what it holds")
        self.publish(subjects.pattern("meta", **_named(cluster), service=service), "heartbeats, lease, dead letters")

    def lease(self, service: str, cluster: str | None) -> None:
        """Write a cluster (None: any) under a lease."""
        stream = NAME_BY_SIGNAL["meta"]
        lease = subjects.pattern("meta", **_named(cluster), service=service, instance=meta.LEASE)
        self.subscribe(lease, "notice at once that a lease was released")
        self.ask(requests.last_of(stream, lease), "who holds a lease")
        if service in WRITERS:
            kept = subjects.pattern("meta", **_named(cluster), service=meta.ATTENDANCE, instance=service)
            self.publish(kept, "when it was at work")
            self.ask(requests.last_of(stream, kept), "when it was absent")

    def miss_writers(self, clusters: Iterable[str | None]) -> None:
        """Notice when those who write topology and health of some clusters (None: of any) were not at work."""
        for cluster in clusters:
            kept = subjects.pattern("meta", **_named(cluster), service=meta.ATTENDANCE)
            self.ask(requests.last_of(NAME_BY_SIGNAL["meta"], kept), "when topology and health were kept up to date")


def _widest(reasons: Mapping[str, str]) -> tuple[Permission, ...]:
    return tuple(
        Permission(subject, why)
        for subject, why in reasons.items()
        if not any(subjects.matches(subject, other) for other in reasons if other != subject)
    )


def of_reader(clusters: Iterable[str | None], *, api_prefix: str, inbox_prefixes: Sequence[str]) -> Permissions:
    """Of a login that reads some clusters, None for all, and writes nothing.

    Of single clusters it reads what is there now, by one filter at a time: JetStream cannot hold a login to some
    subjects in a request for several filters, or for the state at a past time. Of the audit trail it reads silences,
    which are in the open anyway: when a disruption was planned.
    """
    return _reading(list(clusters), api_prefix=api_prefix, inbox_prefixes=inbox_prefixes).permissions()


def of_auditor(clusters: Iterable[str | None], *, api_prefix: str, inbox_prefixes: Sequence[str]) -> Permissions:
    """Of a reader of some clusters, None for all, who also reads the audit trail: who wrote what, and from where."""
    clusters = list(clusters)
    grants = _reading(clusters, api_prefix=api_prefix, inbox_prefixes=inbox_prefixes)
    grants.read("audit", signal_filters("audit", clusters))
    return grants.permissions()


def _reading(clusters: Sequence[str | None], *, api_prefix: str, inbox_prefixes: Sequence[str]) -> Grants:
    grants = Grants(api_prefix=api_prefix, inbox_prefixes=inbox_prefixes)
    grants.ask(requests.ACCOUNT, "whether there is JetStream")
    for signal, stream in NAME_BY_SIGNAL.items():
        if signal == "audit":
            for action in audit.DECIDED["silence"]:
                grants.read(signal, signal_filters(signal, clusters, action=action))
            continue
        grants.read(signal, signal_filters(signal, clusters), keeps_time=signal == "meta")
        if None in clusters:
            grants.ask(requests.consumer_of(stream, ANY, []), f"read {stream} by several filters")
            if stream in HISTORY_STREAMS:
                grants.ask(requests.past_of(stream), f"read {stream} as it was")
    for cluster in clusters:
        grants.publish(f"{subjects.ARCHIVE}.{'>' if cluster is None else f'*.{subjects.escape(cluster)}'}", ASK_ARCHIVE)
    return grants


def of_operator(clusters: Iterable[str | None], *, api_prefix: str, inbox_prefixes: Sequence[str]) -> Permissions:
    """Of a person on call: a reader of some clusters, None for all, who also silences and acknowledges there."""
    clusters = list(clusters)
    reader = of_reader(clusters, api_prefix=api_prefix, inbox_prefixes=inbox_prefixes)
    words = [
        Permission(filter_, f"write {NAME_BY_SIGNAL[signal]}")
        for signal in ("silence", "ack")
        for filter_ in signal_filters(signal, clusters)
    ]
    records = [
        Permission(filter_, f"record in {NAME_BY_SIGNAL['audit']}")
        for action in (*audit.DECIDED["silence"], *audit.DECIDED["ack"])
        for filter_ in signal_filters("audit", clusters, action=action)
    ]
    return Permissions((*reader.publish, *words, *records), reader.subscribe)


def of_leaf(edge: str) -> Permissions:
    """Of the login of an edge at its hub, where publishing is what comes from the edge: the copies, and no more.

    With these the edge cannot read, create or purge anything at the hub, nor the hub anything at the edge but these.
    """
    api = api_prefix_of(edge)
    streams = sorted(NAME_BY_SIGNAL[signal] for signal in COLLECTED)
    return Permissions(
        publish=(
            Permission(f"{deliver_of(edge)}.>", "the messages that the hub copies"),
            Permission("$JSC.R.>", "the answer to a copy that begins"),
            Permission(f"_INBOX_{EDGE_SYNC}.>", "how far its streams are"),
        ),
        subscribe=(
            *(Permission(f"{api}{requests.consumer_of(each, '>', [])}", f"the hub copies {each}") for each in streams),
            *(Permission(f"{api}{requests.info_of(each)}", f"how far {each} is") for each in streams),
            Permission("$JS.FC.>", "flow control of the copies"),
        ),
    )


def of_provisioner(*, api_prefix: str, inbox_prefixes: Sequence[str]) -> Permissions:
    """Of the login that creates and updates the streams."""
    grants = Grants(api_prefix=api_prefix, inbox_prefixes=inbox_prefixes)
    grants.ask(requests.ACCOUNT, "whether there is JetStream")
    grants.ask(requests.NAMES, "whether another stream captures our subjects")
    for signal, stream in NAME_BY_SIGNAL.items():
        grants.publish(requests.probe_of(signal), f"whether {stream} alone would store it; none does")
        grants.ask(requests.info_of(stream), f"whether {stream} is there, and how")
        grants.ask(requests.create_of(stream), f"create {stream}")
        grants.ask(requests.update_of(stream), f"update {stream}")
    for copy in map(copy_of, COPIED):
        grants.ask(requests.info_of(copy), f"whether {copy} is there, and how")
        grants.ask(requests.create_of(copy), f"create {copy}")
        grants.ask(requests.update_of(copy), f"update {copy}")
    grants.record(audit.SET_UP, [None])
    return grants.permissions()


def of_backup(*, api_prefix: str, inbox_prefixes: Sequence[str]) -> Permissions:
    """Of the login that copies and restores whole streams: it may also remove them."""
    grants = Grants(api_prefix=api_prefix, inbox_prefixes=inbox_prefixes)
    for signal, stream in NAME_BY_SIGNAL.items():
        if signal != "meta":
            grants.ask(requests.info_of(stream), f"whether {stream} is there, and what it holds")
            grants.ask(requests.snapshot_of(stream), f"copy {stream}")
            grants.ask(requests.restore_of(stream), f"restore {stream}")
            if signal != "audit":
                grants.ask(requests.delete_of(stream), f"remove {stream}, to restore it")
    grants.record([audit.RESTORE], [None])
    grants.publish(f"{requests.COPY_ACKS}.>", "take the parts of a copy")
    grants.publish(f"{requests.COPY_PARTS}.>", "hand over the parts of a copy")
    return grants.permissions()


def signal_filters(signal: str, clusters: Iterable[str | None], **fields: str) -> Iterator[str]:
    """The filters of a signal for some clusters, None for all, and other fields of its subjects."""
    for cluster in clusters:
        yield subjects.pattern(signal, **_named(cluster), **fields)


def _named(cluster: str | None) -> dict[str, str]:
    return {} if cluster is None else {"cluster": cluster}
