"""The guarantees, judged from what the streams hold and from what is really there: nothing of the bus is asked.

`state_faults` is what must be true when all is settled; `history_faults` what must be true of every message on the way.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from faults.schedules.names import CANARY, READERS, Key, Layout
from faults.schedules.raw import NOTIFIED, STATE, Json, Reader, Stored, key_of

if TYPE_CHECKING:  # it imports the servers and services of a site, and the product with them
    from faults.schedules.truth import Truth

EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
LOGS: Final = ("PULSE", "EVENT")
SAME: Final = ("uid", "status", "reason", "labels", "attributes", "annotations")
"""Fields of an entity of one source that the merged entity has too."""
DEFAULTS: Final[Json] = {
    "uid": "",
    "status": "unknown",
    "reason": "",
    "labels": {},
    "attributes": {},
    "annotations": {},
}


@dataclass(frozen=True)
class Fault:
    """A guarantee that does not hold."""

    guarantee: str
    text: str

    def __str__(self) -> str:
        return f"{self.guarantee}: {self.text}"


@dataclass(frozen=True)
class Snapshot:
    """The last message of every subject of every stream that holds state."""

    last: Mapping[str, Mapping[str, Stored]]

    @classmethod
    async def read(cls, reader: Reader) -> "Snapshot":
        return cls({stream: await reader.last(stream) for stream in (*STATE, "META")})

    def of(self, cluster: str) -> "Snapshot":
        """What is about one cluster."""
        return Snapshot(
            {
                stream: {subject: each for subject, each in last.items() if subject.split(".")[2] == cluster}
                for stream, last in self.last.items()
            }
        )

    def live(self, stream: str) -> Iterator[tuple[str, Json]]:
        """Subject and body of what is not removed, and can be read."""
        for subject, each in self.last[stream].items():
            if (body := each.body) is not None and not each.is_removal and _names_itself(subject, body):
                yield subject, body

    def heartbeats(self, *, since: int = 0) -> Iterator[tuple[str, Json]]:
        """Service and body of those behind a sequence."""
        for subject, each in self.last["META"].items():
            if (body := each.body) and body.get("type") == "heartbeat" and each.seq > since:
                yield subject.split(".")[3], body


def _names_itself(subject: str, body: Json) -> bool:
    """Whether a message says that it is what its subject names."""
    ref = body.get("ref")
    return isinstance(ref, dict) and "name" in ref and token(ref["name"]) in subject.split(".")


def token(name: str) -> str:
    """A name as subjects spell it."""
    return "".join(
        each if each.isalnum() or each in "-_" else "".join(f"={b:02X}" for b in each.encode()) for each in name
    )


def state_faults(all_of_it: Snapshot, truth: "Truth", layout: Layout, *, healed_seq: int) -> Iterator[Fault]:
    """What is not as it must be when all is settled.

    Args:
        all_of_it: what the streams hold.
        truth: what is there.
        layout: which services work in which cluster.
        healed_seq: of META when all services were started again: what is older is from a process that was killed.
    """
    for cluster, services in layout.working.items():
        now = all_of_it.of(cluster)
        yield from _of_services(now, services, healed_seq)
        yield from _of_truth(now, truth, truth.present_in(cluster))
        yield from _of_the_fold(now)
        yield from _of_health(now)
        yield from _of_staleness(now)


def _of_services(now: Snapshot, services: Iterable[str], healed_seq: int) -> Iterator[Fault]:
    working: dict[str, list[str]] = {name: [] for name in services}
    for service, beat in now.heartbeats(since=healed_seq):
        if beat["state"] in ("in_sync", "degraded"):
            working.setdefault(service, []).append(beat["instance"])
        if beat["state"] not in ("in_sync", "standby", "stopped"):
            yield Fault("G5", f"{service} {beat['instance']} is {beat['state']}: {beat.get('reason', '')}")
        if beat.get("spilled"):
            yield Fault("G9", f"{service} keeps {beat['spilled']} messages on disk")
    for service, instances in working.items():
        if len(instances) != 1:
            yield Fault("G4" if instances else "G5", f"{service}: expected one instance in sync, found {instances}")


def _of_truth(now: Snapshot, truth: "Truth", present: Mapping[Key, str]) -> Iterator[Fault]:
    """Every source publishes what is there, all of it and nothing else."""
    for stream in ("ENTITY", "TOPOLOGY"):
        published = {key_of(body["ref"]): body for _, body in now.live(stream)}
        for key, uid in present.items():
            body = published.get(key)
            if body is None:
                yield Fault("G5", f"{stream} lacks {' '.join(key)}")
            elif uid and body.get("uid") != uid:
                yield Fault("G5", f"{stream} holds another incarnation of {' '.join(key)}")
        for key in published:
            if (key[0] in truth.kinds and key not in present) or _is_of_no_stream(key, present):
                yield Fault("G2", f"{stream} holds {' '.join(key)}, which is gone")
    pods = {each["metadata"]["name"]: each for each in truth.api.objects("pods")}
    for _, body in now.live("TOPOLOGY"):
        pod = pods.get(body["ref"]["name"])
        if body["ref"]["kind"] == "pod" and pod is not None:
            expected = _waiting(pod) or pod["status"].get("reason")
            if expected and body.get("reason", "") != expected:
                yield Fault("G5", f"pod {body['ref']['name']}: expected {expected}, found {body.get('reason', '')!r}")


def _is_of_no_stream(key: Key, present: Mapping[Key, str]) -> bool:
    """Whether it is the subject of a stream that is gone."""
    kind, _, name = key
    owner = name.removeprefix("s.").removesuffix(".>")
    return kind == "nats_subject" and name == f"s.{owner}.>" and ("nats_stream", "", owner) not in present


def _waiting(pod: Json) -> str:
    states: Iterable[Json] = (each["state"] for each in pod["status"]["containerStatuses"])
    return next((each["waiting"]["reason"] for each in states if "waiting" in each), "")


def _of_the_fold(now: Snapshot) -> Iterator[Fault]:
    """The topology is what the entities are, each of one source, with the connections whose other end is there."""
    entities: dict[Key, Json] = {}
    for _, body in now.live("ENTITY"):
        key = key_of(body["ref"])
        entities[key] = body if key not in entities else {}  # of two sources: how they merge is not judged here
    claims = _claims(entities)
    merged = {key_of(body["ref"]): body for _, body in now.live("TOPOLOGY") if body["ref"]["kind"] != "source"}
    for key in entities.keys() - merged.keys():
        yield Fault("G5", f"TOPOLOGY lacks {' '.join(key)}")
    for key in merged.keys() - entities.keys():
        yield Fault("G2", f"TOPOLOGY holds {' '.join(key)}, which no source reports")
    for key in entities.keys() & merged.keys():
        entity, row = entities[key], merged[key]
        if not entity:
            continue
        for field in SAME:
            if entity.get(field, DEFAULTS[field]) != row.get(field, DEFAULTS[field]):
                yield Fault("G5", f"{' '.join(key)}: {field} is {row.get(field)!r}, reported {entity.get(field)!r}")
        found = {(each["kind"], key_of(each["peer"])) for each in row.get("connections", ())}
        expected = {
            (each["kind"], peer)
            for each in entity.get("connections", ())
            if (peer := _peer(each["peer"], claims)) in merged and peer != key and each.get("direction") != "in"
        }
        if missing := expected - found:
            yield Fault("G5", f"{' '.join(key)} lacks the connections {sorted(missing)[:3]}")
        if dangling := {peer for _, peer in found} - merged.keys():
            yield Fault("G2", f"{' '.join(key)} is connected to {sorted(dangling)[:3]}, which are not there")


def _claims(entities: Mapping[Key, Json]) -> dict[str, Key | None]:
    """Alias or address → who claims it; None if several do."""
    claims: dict[str, Key | None] = {}
    for key, entity in entities.items():
        for name in {*entity.get("aliases", ()), *entity.get("addresses", ())}:
            claims[name] = key if name not in claims else None
    return claims


def _peer(peer: Any, claims: Mapping[str, Key | None]) -> Key | None:
    return key_of(peer) if isinstance(peer, dict) else claims.get(peer)


def _of_health(now: Snapshot) -> Iterator[Fault]:
    known = {key_of(body["ref"]) for _, body in now.live("TOPOLOGY")}
    judged = {key_of(body["ref"]) for _, body in now.live("HEALTH") if body["ref"]["kind"] != "cluster"}
    for key in known - judged:
        if key[0] != "source":
            yield Fault("G5", f"HEALTH lacks {' '.join(key)}")
    for key in judged - known:
        yield Fault("G2", f"HEALTH holds {' '.join(key)}, which is not in the topology")
    for subject, body in now.live("ALERT"):
        if body.get("state") == "firing" and key_of(body["ref"]) not in known and body["ref"]["kind"] != "cluster":
            yield Fault("G2", f"an alert fires on {subject}, which is not in the topology")


def _of_staleness(now: Snapshot) -> Iterator[Fault]:
    for _, body in now.live("TOPOLOGY"):
        if body["ref"]["kind"] == "source" and body.get("unread"):
            yield Fault("G5", f"source {body['ref']['name']} is still stale: {json.dumps(body['unread'])[:200]}")


def stale_sources(now: Snapshot) -> set[str]:
    """The sources that the topology says are not attested as a whole."""
    return {
        body["ref"]["name"]
        for _, body in now.live("TOPOLOGY")
        if body["ref"]["kind"] == "source" and body.get("unread")
    }


def history_faults(history: Mapping[str, list[Stored]], truth: "Truth", touched: set[str]) -> Iterator[Fault]:
    """What no message may be.

    Args:
        history: every message of a stream that the schedule left there.
        truth: what was there.
        touched: names of the entities whose messages the schedule itself has damaged; `*`: any may be.
    """
    for stream, messages in history.items():
        ids: set[str] = set()
        for each in messages:
            if not each.is_ours and CANARY.encode() in each.payload:
                yield Fault("G8", f"{stream}:{each.seq} {each.subject} holds a secret")
            if stream in LOGS and not each.is_ours:
                yield from _of_id(each, ids)
            if stream in (*STATE, *NOTIFIED) and not each.is_marker and not each.is_ours:
                yield from _of_writer(each)
                yield from _of_removal(each, truth, touched)


def _of_id(each: Stored, ids: set[str]) -> Iterator[Fault]:
    """A sample or an event is stored once, however often it is sent."""
    id_ = each.headers.get("Nats-Msg-Id", "")
    if not id_ or id_ in ids:
        yield Fault("G6", f"{each.stream}:{each.seq} {each.subject} has {'the id of another' if id_ else 'no id'}")
    ids.add(id_)


def _of_writer(each: Stored) -> Iterator[Fault]:
    if EXPECTED not in each.headers:
        yield Fault("G4", f"{each.stream}:{each.seq} {each.subject} does not name the sequence it replaces")


def _of_removal(each: Stored, truth: "Truth", touched: set[str]) -> Iterator[Fault]:
    body = each.body
    if body is None or body.get("op") != "remove" or each.stream not in ("ENTITY", "TOPOLOGY"):
        return
    key = key_of(body["ref"])
    if key in truth.absent_once or key not in truth.present or touched & {"*", key[2]}:
        return
    yield Fault("G3", f"{each.stream}:{each.seq} removes {' '.join(key)}, which was there all the time")


def replaced_faults(messages: Iterable[Stored], touched: set[str]) -> Iterator[Fault]:
    """Each message replaces the one before it: no writer overwrote what it had not read. Of one life of a stream."""
    before: dict[str, int] = {}
    for each in messages:
        expected = int(each.headers.get(EXPECTED, -1))
        known = before.get(each.subject)
        if known is not None and expected not in (-1, known) and "*" not in touched:
            yield Fault("G4", f"{each.stream}:{each.seq} replaces {expected}, but {known} was the last of its subject")
        before[each.subject] = each.seq


def dead_letter_faults(now: Snapshot, poisoned: Mapping[str, str], *, may_be_forgotten: bool) -> Iterator[Fault]:
    """Every poison that still lies there is reported by its reader with a dead letter, and counted.

    Args:
        now: what the streams hold.
        poisoned: subject → its signal.
        may_be_forgotten: whether the letters may have gone with their stream; the count has to do then.
    """
    reported = {
        body.get("subject", "")
        for each in now.last["META"].values()
        if (body := each.body) and body.get("type") == "dead_letter"
    }
    counted = {service for service, beat in now.heartbeats() if beat.get("dead_letters")}
    for subject, signal in poisoned.items():
        reader = READERS.get(signal)
        is_known = subject in reported or (may_be_forgotten and reader in counted)
        if reader is not None and not is_known:
            yield Fault("G7", f"{reader} did not report {subject}")


async def settled_seqs(reader: Reader) -> dict[str, int]:
    """How far each stream of derived state has come."""
    return {stream: await reader.last_seq(stream) for stream in ("ENTITY", "TOPOLOGY", "HEALTH", "ALERT")}
