"""PgBouncer: two samples and what is published → one pooler with its pulse, and what its clients wait for. Pure."""

from collections.abc import Iterable
from typing import Final

from kgents_collector_db.mapping.facts import SOURCE, Blindness, Facts, Scope
from kgents_collector_db.mapping.pgbouncer.sample import PgbouncerSample, Totals
from kgents_collector_db.mapping.place import place, runs_on
from kgents_collector_db.mapping.seen import kept
from kgents_shared.contract.address import join
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.pulse import DatabasePulse, Pool
from kgents_shared.contract.vocabulary import edges, kinds

BACKEND: Final = "pgbouncer"
CONSOLE: Final = "pgbouncer"
"""The virtual database of the admin console: nobody's data."""


def observe(previous: PgbouncerSample | None, current: PgbouncerSample, scope: Scope) -> Facts:
    """Everything that one look tells."""
    ref = Ref(scope.cluster, kinds.POOLER, scope.name, scope.namespace)
    entity = _entity(previous, current, scope, ref)
    blindness = current.blindness
    pulse = DatabasePulse(
        ref=ref,
        source=SOURCE,
        backend=BACKEND,
        timestamp=scope.at,
        interval_s=scope.interval_s,
        phase=_phase(current) if blindness is None else blindness.phase,
        cause=_cause(current) if blindness is None else blindness.cause,
        pool=_pool(current),
        performance=_performance(previous, current),
        custom=_custom(current),
        morphisms=current.totals.total_query_count if blindness is None else None,
    )
    return Facts([entity], [pulse], list(_events(previous, blindness, scope, ref)))


def _entity(previous: PgbouncerSample | None, sample: PgbouncerSample, scope: Scope, ref: Ref) -> Entity:
    if sample.blindness is not None:
        is_confirmed = previous is not None and previous.blindness is not None
        fresh = _described(sample, ref)
        return kept(scope.published.get(ref), fresh, sample.blindness, is_confirmed=is_confirmed)
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
            "db.system.name": "pgbouncer",
            "db.system.version": sample.version,
            **place(sample.address),
            "pgbouncer.databases": names,
            "pgbouncer.max_client_conn": sample.max_clients,
        },
        addresses=[sample.address],
        connections=[*connections, *runs_on(sample.address)],
    )


def _clients(sample: PgbouncerSample) -> int:
    return sum(each.cl_active + each.cl_waiting for each in sample.pools)


def _ratio(sample: PgbouncerSample) -> float | None:
    if sample.blindness is not None:
        return 1.0 if sample.blindness.cause == "saturated" else None
    return min(1.0, _clients(sample) / sample.max_clients) if sample.max_clients else None


def _pool(sample: PgbouncerSample) -> Pool:
    if sample.blindness is not None:
        return Pool(utilization=_ratio(sample))
    return Pool(
        active=sum(each.cl_active for each in sample.pools),
        waiting=sum(each.cl_waiting for each in sample.pools),
        idle=sum(each.sv_idle for each in sample.pools),
        max=sample.max_clients,
        utilization=_ratio(sample),
    )


def _maxwait_s(sample: PgbouncerSample) -> float:
    return max((each.maxwait + each.maxwait_us / 1e6 for each in sample.pools), default=0.0)


WAITING_S: Final = 1.0
"""A client that waits so long for a server connection feels it."""
FULL_RATIO: Final = 0.95


def _cause(sample: PgbouncerSample) -> str:
    if (_ratio(sample) or 0.0) >= FULL_RATIO:
        return "connections"
    if any(each.paused or each.disabled for each in sample.databases):
        return "paused"
    return "clients waiting" if _maxwait_s(sample) >= WAITING_S else ""


def _phase(sample: PgbouncerSample) -> str:
    return {"": "healthy", "connections": "overloaded"}.get(_cause(sample), "degraded")


def _performance(previous: PgbouncerSample | None, sample: PgbouncerSample) -> dict[str, float | None]:
    """Between two looks; null across a restart, by which every counter falls."""
    if sample.blindness is not None:
        return {}
    nothing: dict[str, float | None] = dict.fromkeys(("qps", "tps", "latency_ms", "wait_ms"))
    if previous is None or previous.blindness is not None:
        return nothing
    seconds, before, now = sample.at_s - previous.at_s, previous.totals, sample.totals
    if seconds <= 0 or _fell(before, now):
        return nothing
    queries = now.total_query_count - before.total_query_count
    transactions = now.total_xact_count - before.total_xact_count
    return {
        "qps": queries / seconds,
        "tps": transactions / seconds,
        "latency_ms": (now.total_query_time - before.total_query_time) / 1000 / queries if queries else None,
        "wait_ms": (now.total_wait_time - before.total_wait_time) / 1000 / transactions if transactions else None,
    }


def _fell(before: Totals, now: Totals) -> bool:
    return any(getattr(now, name) < getattr(before, name) for name in Totals.__struct_fields__)


def _custom(sample: PgbouncerSample) -> dict[str, float | None]:
    found: dict[str, float | None] = {
        "collector_look_s": sample.look_s,
        "collector_queries": float(sample.queries),
        "collector_connections": float(sample.connections),
    }
    if sample.blindness is not None:
        if sample.blindness.phase == "failing":
            found["pgbouncer_up"] = 0.0
        if sample.blindness.cause == "saturated":
            found |= {"pgbouncer_up": 1.0, "pgbouncer_clients_ratio": 1.0}
        return found
    return found | {
        "pgbouncer_up": 1.0,
        "pgbouncer_clients": float(_clients(sample)),
        "pgbouncer_clients_ratio": _ratio(sample),
        "pgbouncer_clients_waiting": float(sum(each.cl_waiting for each in sample.pools)),
        "pgbouncer_maxwait_seconds": _maxwait_s(sample),
        "pgbouncer_servers_active": float(sum(each.sv_active for each in sample.pools)),
        "pgbouncer_servers_idle": float(sum(each.sv_idle + each.sv_used + each.sv_tested for each in sample.pools)),
        "pgbouncer_servers_login": float(sum(each.sv_login for each in sample.pools)),
        "pgbouncer_databases_paused": float(sum(bool(each.paused) for each in sample.databases)),
        "pgbouncer_databases_disabled": float(sum(bool(each.disabled) for each in sample.databases)),
    }


def _events(previous: PgbouncerSample | None, blindness: Blindness | None, scope: Scope, ref: Ref) -> Iterable[Event]:
    before = previous.blindness if previous is not None else None
    if blindness is not None and (before is None or before.cause != blindness.cause):
        severity = "critical" if blindness.phase in ("failing", "overloaded") else "error"
        reason, text = blindness.cause.title().replace(" ", ""), f"{ref} cannot be looked at: {blindness.cause}."
    elif blindness is None and before is not None:
        severity, reason, text = "info", "SeenAgain", f"{ref} is seen again after: {before.cause}."
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
        message=blindness.text if blindness is not None else "",
    )
