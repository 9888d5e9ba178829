"""PgBouncer: two samples and the published entity → entity, pulse, events. Pure."""

from collections.abc import Iterable
from typing import Final

from msgspec import structs

from kgents_collector_db.mapping.facts import SOURCE, Figures, Scope, Unreachable, section
from kgents_collector_db.mapping.pgbouncer.sample import PgbouncerSample, Pooled, Totals
from kgents_collector_db.mapping.place import place, runs_on
from kgents_collector_db.mapping.seen import believed, kept, not_seen
from kgents_shared.contract.address import join
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import ALL, DatabasePulse, Pool
from kgents_shared.contract.vocabulary import edges, kinds, reasons
from kgents_shared.contract.vocabulary.attributes import otel
from kgents_shared.contract.vocabulary.attributes import pgbouncer as attribute
from kgents_shared.contract.vocabulary.figures import database
from kgents_shared.contract.vocabulary.figures import pgbouncer as figure

BACKEND: Final = "pgbouncer"
CONSOLE: Final = "pgbouncer"
"""The virtual database of the admin console; it has no data."""


def observe(previous: PgbouncerSample | None, current: PgbouncerSample, scope: Scope) -> Facts:
    """All facts of one poll."""
    ref = Ref(scope.cluster, kinds.POOLER, scope.name, scope.namespace)
    current = structs.replace(current, unreachable=believed(current.unreachable, scope.published.get(ref)))
    entity = _entity(previous, current, scope, ref)
    unreachable = current.unreachable
    pulse = DatabasePulse(
        ref=ref,
        source=SOURCE,
        backend=BACKEND,
        timestamp=scope.at,
        interval_s=scope.interval_s,
        phase=_phase(current) if unreachable is None else unreachable.phase,
        cause=_cause(current) if unreachable is None else unreachable.cause,
        pool=_pool(current),
        performance=section(_performance(previous, current)),
        custom=section(_custom(current)),
        morphisms=current.totals.total_query_count if unreachable is None else None,
        unread=[] if unreachable is None else [ALL],
    )
    is_confirmed = previous is not None and previous.unreachable is not None
    unread = not_seen(unreachable, scope, is_confirmed=is_confirmed)
    return Facts([entity], [pulse], list(_events(previous, unreachable, scope, ref)), unread)


def _entity(previous: PgbouncerSample | None, sample: PgbouncerSample, scope: Scope, ref: Ref) -> Entity:
    if sample.unreachable is not None:
        is_confirmed = previous is not None and previous.unreachable is not None
        fresh = _described(sample, ref)
        return kept(scope.published.get(ref), fresh, sample.unreachable, is_confirmed=is_confirmed)
    return _described(sample, ref)


def _described(sample: PgbouncerSample, ref: Ref) -> Entity:
    behind = sorted({(each.host, each.port) for each in sample.databases if each.host and each.name != CONSOLE})
    connections = [Connection(edges.DEPENDS, join(host, port), evidence="SHOW DATABASES") for host, port in behind]
    names = sorted(each.name for each in sample.databases if each.name != CONSOLE)
    return Entity(
        ref=ref,
        source=SOURCE,
        status="running",
        attributes={
            otel.DB_SYSTEM_NAME: "pgbouncer",
            otel.SERVICE_VERSION: sample.version,
            **place(sample.address),
            attribute.DATABASES: names,
            attribute.MAX_CLIENT_CONN: sample.max_clients,
        },
        addresses=[sample.address],
        connections=[*connections, *runs_on(sample.address)],
    )


def _clients(sample: PgbouncerSample) -> int:
    return sum(each.cl_active + each.cl_waiting for each in sample.pools)


def _ratio(sample: PgbouncerSample) -> float | None:
    if sample.unreachable is not None:
        return 1.0 if sample.unreachable.cause == "saturated" else None
    return min(1.0, _clients(sample) / sample.max_clients) if sample.max_clients else None


def _pool(sample: PgbouncerSample) -> Pool:
    if sample.unreachable is not None:
        return Pool(utilization=_ratio(sample))
    return Pool(
        active=sum(each.cl_active for each in sample.pools),
        waiting=sum(each.cl_waiting for each in sample.pools),
        idle=sum(each.sv_idle for each in sample.pools),
        max=sample.max_clients,
        utilization=_ratio(sample),
    )


def _longest_s(pools: Iterable[Pooled]) -> float:
    return max((each.wait_s for each in pools), default=0.0)


def _paused(sample: PgbouncerSample) -> list[Pooled]:
    """The pools whose database an operator has paused."""
    names = {each.name for each in sample.databases if each.paused}
    return [each for each in sample.pools if each.database in names]


def _cut_off(sample: PgbouncerSample) -> list[Pooled]:
    """The pools whose clients wait, since no connection to their server can be had."""
    paused = _paused(sample)
    return [each for each in sample.pools if each.wait_s >= WAITING_S and not each.has_server and each not in paused]


def _exhausted(sample: PgbouncerSample) -> list[Pooled]:
    """The pools whose server connections are all in use, if anyone waits."""
    others = [*_paused(sample), *_cut_off(sample)]
    return [each for each in sample.pools if each not in others]


WAITING_S: Final = 1.0
"""Seconds that a client waits for a server connection before the pooler counts as degraded."""
FULL_RATIO: Final = 0.95


def _cause(sample: PgbouncerSample) -> str:
    if (_ratio(sample) or 0.0) >= FULL_RATIO:
        return "connections"
    if _cut_off(sample):
        return "server unreachable"
    if any(each.paused or each.disabled for each in sample.databases):
        return "paused"
    return "clients waiting" if _longest_s(sample.pools) >= WAITING_S else ""


def _phase(sample: PgbouncerSample) -> str:
    return {"": "healthy", "connections": "overloaded"}.get(_cause(sample), "degraded")


def _performance(previous: PgbouncerSample | None, sample: PgbouncerSample) -> Figures:
    """Figures of the time between two polls; null across a restart, which resets every counter."""
    if sample.unreachable is not None:
        return {}
    nothing: Figures = dict.fromkeys((database.QPS, database.TPS, database.LATENCY_MS, figure.WAIT_MS))
    if previous is None or previous.unreachable is not None:
        return nothing
    seconds, before, now = sample.at_s - previous.at_s, previous.totals, sample.totals
    if seconds <= 0 or _fell(before, now):
        return nothing
    queries = now.total_query_count - before.total_query_count
    transactions = now.total_xact_count - before.total_xact_count
    return {
        database.QPS: queries / seconds,
        database.TPS: transactions / seconds,
        database.LATENCY_MS: (now.total_query_time - before.total_query_time) / 1000 / queries if queries else None,
        figure.WAIT_MS: (now.total_wait_time - before.total_wait_time) / 1000 / transactions if transactions else None,
    }


def _fell(before: Totals, now: Totals) -> bool:
    return any(getattr(now, name) < getattr(before, name) for name in Totals.__struct_fields__)


def _custom(sample: PgbouncerSample) -> Figures:
    found: Figures = {
        database.POLL_S: sample.poll_s,
        database.QUERIES: float(sample.queries),
        database.CONNECTIONS: float(sample.connections),
    }
    if sample.unreachable is not None:
        if sample.unreachable.phase == "failing":
            found[figure.UP] = 0.0
        if sample.unreachable.cause == "saturated":
            found |= {figure.UP: 1.0, figure.CLIENTS_RATIO: 1.0}
        return found
    return found | {
        figure.UP: 1.0,
        figure.CLIENTS: float(_clients(sample)),
        figure.CLIENTS_RATIO: _ratio(sample),
        figure.CLIENTS_WAITING: float(sum(each.cl_waiting for each in sample.pools)),
        figure.MAXWAIT_SECONDS: _longest_s(sample.pools),
        figure.EXHAUSTED_WAIT_SECONDS: _longest_s(_exhausted(sample)),
        figure.PAUSED_WAIT_SECONDS: _longest_s(_paused(sample)),
        figure.POOLS_CUT_OFF: float(len(_cut_off(sample))),
        figure.SERVERS_ACTIVE: float(sum(each.sv_active for each in sample.pools)),
        figure.SERVERS_IDLE: float(sum(each.sv_idle + each.sv_used + each.sv_tested for each in sample.pools)),
        figure.SERVERS_LOGIN: float(sum(each.sv_login for each in sample.pools)),
        figure.DATABASES_PAUSED: float(sum(bool(each.paused) for each in sample.databases)),
        figure.DATABASES_DISABLED: float(sum(bool(each.disabled) for each in sample.databases)),
    }


def _events(
    previous: PgbouncerSample | None, unreachable: Unreachable | None, scope: Scope, ref: Ref
) -> Iterable[Event]:
    before = previous.unreachable if previous is not None else None
    if unreachable is not None and (before is None or before.cause != unreachable.cause):
        severity = "critical" if unreachable.phase in ("failing", "overloaded") else "error"
        reason, text = unreachable.cause.title().replace(" ", ""), f"{ref} is unreachable: {unreachable.cause}."
    elif unreachable is None and before is not None:
        severity, reason, text = "info", reasons.SEEN_AGAIN, f"{ref} is reachable again after: {before.cause}."
    else:
        return
    yield Event(
        text=text,
        id=f"{ref.namespace}/{ref.name}:{reason}:{scope.at.isoformat()}",
        ref=ref,
        source=SOURCE,
        type="PgBouncer",
        reason=reason,
        severity=severity,
        first_at=scope.at,
        last_at=scope.at,
        message=unreachable.text if unreachable is not None else "",
    )
