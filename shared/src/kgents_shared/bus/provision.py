"""Making the server match `contract.streams`: streams → plan (what would change, what is refused) → apply.

A stream's configuration is taken from the server as it is, only the fields named here are changed, and the whole is
sent back: whatever else an operator has set survives. What would lose messages is never done; the plan gives the
command does it by hand.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from kgents_shared.bus import jetstream
from kgents_shared.bus.jetstream import StreamInfo
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.bus.sources import api_of, edge_of, is_of_edge, sources_of
from kgents_shared.bus.subject_counts import subject_counts
from kgents_shared.contract.errors import BusError, BusTimeoutError, ProvisionError
from kgents_shared.contract.streams import Copy, Stream

T = TypeVar("T")

SCHEMA_KEY: Final = "kgents.schema"
SCHEMA: Final = "1"
"""Version of the streams' layout, kept in each stream's metadata."""

OLDEST_SERVER: Final = "2.11"
_OLDEST_API_LEVEL: Final = 1  # JetStream counts its API levels since 2.11; older servers give none

_NS: Final = 1_000_000_000
_DURATIONS: Final = frozenset({"max_age", "duplicate_window", "subject_delete_marker_ttl"})  # JetStream's are in ns
_FIXED: Final = ("storage", "retention", "subjects")
_IRREVOCABLE: Final = ("sealed", "deny_delete", "deny_purge", "allow_msg_ttl")
_LIMIT_FLAGS: Final = {
    "max_age": "--max-age",
    "max_bytes": "--max-bytes",
    "max_msgs_per_subject": "--max-msgs-per-subject",
}

REPLICAS: Final = 3
"""On a cluster, where nothing else is configured: any one server may be lost."""

_NO_ANSWER: Final = 0  # no one listens on the API's subjects
_NO_JETSTREAM: Final = frozenset({_NO_ANSWER, 10039, 10076})
_ADVICE: Final = {
    10049: "see the server's log, and whether it can write its store_dir",
    10077: "see the server's log, and whether it can write its store_dir",
    10005: "set streams.replicas to at most the number of servers with JetStream that run",
    10074: "set streams.replicas to 1, or make the servers a cluster",
    10023: "give the server more storage, or the streams a smaller max_bytes",
    10047: "max_bytes is reserved up front: raise the server's max_file_store, or lower the streams' max_bytes",
    10002: "raise the account's storage limit, or lower the streams' max_bytes",
}
"""JetStream's error code → what a person can do about it."""
_NO_STORE: Final = frozenset({10049, 10077})
"""No directory could be made. Just after its start a server of a cluster removes empty ones while it makes others."""
_NO_STORE_PAUSES_S: Final = (0.5, 1.0, 2.0)


_log = get_logger(__name__)


class Create(msgspec.Struct, frozen=True):
    """A stream that is not there yet."""

    stream: str
    config: dict[str, Any]

    def __str__(self) -> str:
        mirror = self.config.get("mirror")
        holds = f"a copy of {mirror['name']}" if mirror else ", ".join(self.config["subjects"])
        return f"create {self.stream}: {holds}, {self.config['num_replicas']} replica(s)"


class Change(msgspec.Struct, frozen=True):
    """One field that differs."""

    field: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.field}: {_shown(self.field, self.old)} → {_shown(self.field, self.new)}"


class Update(msgspec.Struct, frozen=True):
    """A stream that differs where changing it loses nothing."""

    stream: str
    changes: tuple[Change, ...]
    config: dict[str, Any]
    """The server's own configuration with the changes in it."""

    def __str__(self) -> str:
        return f"update {self.stream}: " + ", ".join(map(str, self.changes))


class Unchanged(msgspec.Struct, frozen=True):
    """A stream that is as it should be."""

    stream: str

    def __str__(self) -> str:
        return f"unchanged {self.stream}"


class Refuse(msgspec.Struct, frozen=True):
    """A stream that only a person may change."""

    stream: str
    reason: str

    def __str__(self) -> str:
        return f"refuse {self.stream}: {self.reason}"


Step = Create | Update | Unchanged | Refuse


class Plan(msgspec.Struct, frozen=True):
    """One step for each stream; `apply` carries all of them out, or none if one is refused."""

    steps: tuple[Step, ...]

    @property
    def refusals(self) -> tuple[Refuse, ...]:
        """What stands in the way."""
        return tuple(step for step in self.steps if isinstance(step, Refuse))

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to do, or to refuse."""
        return not all(isinstance(step, Unchanged) for step in self.steps)


async def plan(session: Session, streams: Sequence[Stream]) -> Plan:
    """Compare the server with the streams; changes nothing.

    Raises:
        ProvisionError: this server cannot carry the streams at all.
    """
    await _require_jetstream(session)
    return Plan(tuple([await _step(session, stream) for stream in streams]))


async def apply(session: Session, plan: Plan) -> None:
    """Carry a plan out. Interrupted half-way, a new plan does the rest.

    Raises:
        ProvisionError: the plan holds refusals (then nothing was done), or the server refused a step.
    """
    if plan.refusals:
        raise ProvisionError("\n".join(map(str, plan.refusals)))
    for step in plan.steps:
        match step:
            case Create():
                await _carry_out(partial(jetstream.create_stream, session, step.stream, step.config), step)
            case Update():
                await _carry_out(partial(jetstream.update_stream, session, step.stream, step.config), step)
            case Unchanged() | Refuse():
                pass


async def require_streams(session: Session, streams: Sequence[Stream]) -> None:
    """What a service asks at its start. It needs no permission but STREAM.INFO of these streams.

    Raises:
        ProvisionError: streams are missing; the text names them.
    """
    found = {stream.name: await find(session, stream.name) for stream in streams}
    if missing := [name for name, info in found.items() if info is None]:
        raise ProvisionError(f"expected streams {', '.join(missing)}, found none of them; run `kgents provision`")
    for name, info in found.items():
        if info is not None and (copied := _copied(info)):
            raise ProvisionError(f"{name}: {copied}")


async def _require_jetstream(session: Session) -> None:
    account = await _with_jetstream(session, jetstream.account_info(session))
    if account.api_level < _OLDEST_API_LEVEL:
        version = ".".join(map(str, session.server_version))
        raise ProvisionError(f"expected nats-server {OLDEST_SERVER} or later, found {version}; upgrade the server")


async def _step(session: Session, stream: Stream) -> Step:
    found = await find(session, stream.name)
    wanted = _config(stream) | {"num_replicas": replicas_of(session, stream, found)}
    if found is None:
        if rival := await _rival(session, stream):
            return Refuse(stream.name, rival)
        return Create(stream.name, {"name": stream.name, **wanted})
    if copied := _copied(found):
        return Refuse(stream.name, copied)
    changes = _changes(found.config, wanted)
    for change in changes:
        if reason := await _loss(session, stream.name, found, change):
            return Refuse(stream.name, reason)
    if not changes:
        return Unchanged(stream.name)
    return Update(stream.name, changes, {**found.config, **{change.field: change.new for change in changes}})


def _copied(found: StreamInfo) -> str:
    """Why a stream is no stream of ours: it copies others, so it holds what no writer here stored. Mostly empty."""
    name = found.config["name"]
    copied = (found.config.get("mirror"), *(found.config.get("sources") or ()))
    origins = [each["name"] for each in copied if each and not is_of_edge(name, each)]
    if not origins:
        return ""
    return (
        f"expected a stream that only its own publishers fill, found a copy of {', '.join(origins)} (mirror or "
        f"sources): messages would be stored twice; try: connect to where {origins[0]} is, or keep the copy under "
        f"another name and `nats stream rm {name}`"
    )


def replicas_of(session: Session, stream: Stream | Copy, found: StreamInfo | None) -> int:
    """As configured; else what the cluster allows, and no fewer than there are: a server may just be away."""
    if stream.replicas != "auto":
        return stream.replicas
    possible = REPLICAS if session.cluster_size == 0 or session.cluster_size >= REPLICAS else 1
    return max(possible, found.config["num_replicas"] if found is not None else 1)


def _config(stream: Stream) -> dict[str, Any]:
    """The fields of a stream's configuration that are ours to decide, in JetStream's names and units."""
    return {
        "sealed": False,  # first: a sealed stream denies deletes and purges, too
        "subjects": [stream.subject],
        "description": stream.description,
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "compression": "s2",
        "max_msgs_per_subject": stream.max_msgs_per_subject,
        "max_age": stream.max_age_s * _NS,
        "max_bytes": stream.max_bytes,
        "max_msgs": -1,
        "duplicate_window": stream.duplicate_window_s * _NS,
        "allow_direct": True,
        "allow_msg_ttl": not stream.is_append_only,
        "subject_delete_marker_ttl": stream.delete_marker_ttl_s * _NS,
        "allow_rollup_hdrs": stream.allows_rollup,
        "deny_delete": True,
        "deny_purge": not stream.allows_purge,
        "metadata": {SCHEMA_KEY: SCHEMA},
        "sources": sources_of(stream),
    }


def _changes(found: dict[str, Any], wanted: dict[str, Any]) -> tuple[Change, ...]:
    # The server and operators keep keys of their own in a stream's metadata.
    wanted = {**wanted, "metadata": {**found.get("metadata", {}), **wanted["metadata"]}}
    found = {**found, "sources": sorted(found.get("sources") or [], key=api_of)}  # the server gives them in any order
    old = {field: found.get(field, type(new)()) for field, new in wanted.items()}  # the server leaves some zeros out
    return tuple(Change(field, old[field], new) for field, new in wanted.items() if old[field] != new)


async def _rival(session: Session, stream: Stream) -> str:
    """Why the stream cannot be created: another one captures some of its subjects. Empty if none does."""
    names = await jetstream.streams_of(session, stream.subject)
    if not names:
        return ""
    return (
        f"expected no other stream to capture {stream.subject}, found {names[0]}; "
        f"try: `nats stream edit {names[0]} --subjects=…` to free them"
    )


async def _loss(session: Session, name: str, found: StreamInfo, change: Change) -> str:
    """Why a person must make this change: it would drop messages, now or from now on. Empty if it is harmless."""
    field = change.field
    expected = f"{field}: expected {_shown(field, change.new)}, found {_shown(field, change.old)}"
    if field == "subjects":
        subjects = ",".join(change.new)
        return f"{expected}; if no one else needs them, try: `nats stream edit {name} --subjects='{subjects}'`"
    if field in _FIXED or (field in _IRREVOCABLE and change.old):
        return (
            f"{expected}, which JetStream cannot change; copy what you need (`nats stream backup {name} …`), "
            f"`nats stream rm {name}`, and run `kgents provision` again"
        )
    if field in _LIMIT_FLAGS and _is_lower(field, change) and (held := await _beyond(session, name, found, change)):
        by_hand = f"nats stream edit {name} {_LIMIT_FLAGS[field]}={_shown(field, change.new)}"
        return f"{expected}, and the stream holds {held}; to drop what is beyond it, `{by_hand}`"
    return ""


def _is_lower(field: str, change: Change) -> bool:
    unlimited = 0 if field in _DURATIONS else -1
    return bool(change.new != unlimited and (change.old == unlimited or change.new < change.old))


async def _beyond(session: Session, name: str, found: StreamInfo, change: Change) -> str:
    """What a lowered limit would drop; empty if nothing."""
    state = found.state
    match change.field:
        case "max_bytes" if state.bytes > change.new:
            return f"{state.bytes} bytes"
        case "max_age" if state.messages:
            age_s = (found.ts - state.first_ts).total_seconds()
            return f"messages {age_s:.0f} s old" if age_s * _NS > change.new else ""
        case "max_msgs_per_subject" if state.messages > state.num_subjects:
            for subject, count in (await subject_counts(session, name, [">"])).items():
                if count > change.new:
                    return f"{count} messages of {subject}"
    return ""


async def find(session: Session, stream: str) -> StreamInfo | None:
    """What the server knows of a stream; None if there is none.

    Raises:
        ProvisionError: the server has no JetStream.
    """
    return await _with_jetstream(session, jetstream.find_stream(session, stream))


async def _carry_out(send: Callable[[], Awaitable[None]], step: Create | Update) -> None:
    pauses_s = iter(_NO_STORE_PAUSES_S)
    while (error := await _refusal(send())) is not None:
        pause_s = next(pauses_s, None) if error.code in _NO_STORE else None
        if pause_s is None:
            advice = f"; {_ADVICE[error.code]}" if error.code in _ADVICE else ""
            raise ProvisionError(f"cannot {step}: {error}{advice}", code=error.code) from error
        _log.warning("stream_store_failed", stream=step.stream, error=str(error), again_in_s=pause_s)
        await asyncio.sleep(pause_s)


async def _refusal(request: Awaitable[None]) -> BusError | None:
    try:
        await request
    except (SessionLostError, BusTimeoutError):
        raise
    except BusError as error:
        return error
    return None


async def _with_jetstream(session: Session, request: Awaitable[T]) -> T:
    """The answer of a server that may have no JetStream."""
    try:
        return await request
    except (SessionLostError, BusTimeoutError):
        raise
    except BusError as error:
        if error.code in _NO_JETSTREAM:
            raise ProvisionError(
                f"expected JetStream on server {session.server_name}, found: {error}; "
                "enable it in the server's configuration and for this account",
                code=error.code,
            ) from error
        raise


def _shown(field: str, value: Any) -> str:
    """A value as a person writes it, and as the `nats` command takes it."""
    if field in _DURATIONS and value is not None:
        return f"{value / _NS:g}s"
    if field == "sources":
        return ", ".join(f"edge {edge_of(each)}" for each in value) or "no edge"
    if isinstance(value, list):
        return ", ".join(value)
    return str(value)
