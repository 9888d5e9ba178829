"""Servers: `/varz` and `/healthz` of two samples → nats_server entities, pulses, and what happened in between."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from kgents_collector_nats.mapping.rate import elapsed_s, per_second, ratio
from kgents_collector_nats.mapping.scope import SOURCE, Fact, Figures, Scope
from kgents_collector_nats.sample import Sample, Server, Varz
from kgents_shared.contract.address import is_unspecified, join, of_url
from kgents_shared.contract.entity import Entity, Value
from kgents_shared.contract.event import Event
from kgents_shared.contract.quantity import worded
from kgents_shared.contract.vocabulary import kinds, reasons
from kgents_shared.contract.vocabulary.attributes import nats as attribute
from kgents_shared.contract.vocabulary.attributes import otel
from kgents_shared.contract.vocabulary.figures import nats as figure
from kgents_shared.contract.vocabulary.figures import resource
from kgents_shared.contract.vocabulary.reasons import ReasonName

KIND: Final = kinds.NATS_SERVER


def facts(before: Sample | None, now: Sample, scope: Scope) -> list[Fact]:
    """One fact for each server."""
    earlier = _varz_by_name(before)
    return [_fact(server, server.varz, earlier, scope) for server in now.named if server.varz is not None]


def events(before: Sample | None, now: Sample, scope: Scope) -> list[Event]:
    """What happened to servers between two samples; a restart is reported even if this collector was down meanwhile."""
    earlier = _varz_by_name(before)
    return [
        event
        for server in now.named
        if server.varz is not None and "varz" not in server.stale
        for event in _changes(earlier.get(server.name), server.varz, scope)
    ]


def _fact(server: Server, varz: Varz, earlier: dict[str, Varz], scope: Scope) -> Fact:
    ref = scope.ref(KIND, varz.server_name)
    status, reason = _status(server, varz, scope.published.get(ref))
    entity = Entity(
        ref=ref,
        source=SOURCE,
        uid=varz.server_id,
        status=status,
        reason=reason,
        attributes=_attributes(varz),
        addresses=_addresses(varz, server.origin),
        created_at=varz.start,
    )
    if "varz" in server.stale:
        return Fact(entity)
    previous = earlier.get(varz.server_name)
    seconds = _seconds(previous, varz)
    old = previous or varz
    pulse = scope.pulse(
        entity,
        _figures(old, varz, seconds),
        cpu_percent=varz.cpu,
        memory_bytes=varz.mem,
        rx_bytes=per_second(old.in_bytes, varz.in_bytes, seconds),
        tx_bytes=per_second(old.out_bytes, varz.out_bytes, seconds),
    )
    return Fact(entity, pulse)


def _status(server: Server, varz: Varz, published: Entity | None) -> tuple[str, str]:
    """Status and reason. Readiness comes once in a server's life and goes only when it leaves (lame duck, shutdown)."""
    same_start = published if published is not None and published.uid == varz.server_id else None
    if server.healthz is None:
        return (same_start.status, same_start.reason) if same_start is not None else ("running", "")
    if server.healthz.status == "error":
        was_ready = same_start is not None and same_start.status in ("running", "terminating")
        return ("terminating", "LameDuck") if was_ready else ("pending", "Starting")
    return ("running", "JetStreamUnavailable" if server.healthz.status == "unavailable" else "")


def _attributes(varz: Varz) -> dict[str, Value]:
    given: dict[str, Value] = {
        otel.SERVICE_VERSION: varz.version,
        attribute.GIT_COMMIT: varz.git_commit,
        attribute.GO_VERSION: varz.go,
        attribute.CLUSTER: varz.cluster.name,
        attribute.JETSTREAM: varz.jetstream.config is not None,
        attribute.MAX_PAYLOAD_BYTES: varz.max_payload,
        attribute.MAX_CONNECTIONS: varz.max_connections,
        otel.TLS_SERVER_NOT_AFTER: until.isoformat() if (until := varz.certificate_until) is not None else "",
    }
    return {name: value for name, value in given.items() if value != ""}


def _addresses(varz: Varz, origin: str) -> list[str]:
    """Where clients and other servers reach it; includes the monitoring url's host if it listens on all addresses."""
    reached_at = of_url(origin).host if "://" in origin else ""
    pairs = [(varz.host, varz.port), (varz.cluster.addr, varz.cluster.cluster_port)]
    hosts = [(reached_at if is_unspecified(host) else host, port) for host, port in pairs if port > 0]
    return list(dict.fromkeys(join(host, port) for host, port in hosts if host))


def _figures(old: Varz, varz: Varz, seconds: float | None) -> Figures:
    slow_per_sec = per_second(old.slow_consumers, varz.slow_consumers, seconds)
    limits, usage = varz.jetstream.config, varz.jetstream.stats
    return {
        resource.CPU_LIMIT_PERCENT: 100.0 * varz.cores if varz.cores > 0 else None,
        figure.IN_MSGS_PER_SEC: per_second(old.in_msgs, varz.in_msgs, seconds),
        figure.OUT_MSGS_PER_SEC: per_second(old.out_msgs, varz.out_msgs, seconds),
        figure.CONNECTIONS: float(varz.connections),
        figure.MAX_CONNECTIONS: float(varz.max_connections) if varz.max_connections > 0 else None,
        figure.CONNECTIONS_RATIO: ratio(varz.connections, varz.max_connections),
        figure.SUBSCRIPTIONS: float(varz.subscriptions),
        figure.SLOW_CONSUMERS: float(varz.slow_consumers),
        figure.SLOW_CONSUMERS_PER_MIN: slow_per_sec * 60 if slow_per_sec is not None else None,
        figure.JETSTREAM_MEMORY_RATIO: ratio(usage.memory, limits.max_memory) if limits is not None else None,
        figure.JETSTREAM_STORAGE_RATIO: ratio(usage.storage, limits.max_storage) if limits is not None else None,
        figure.CERTIFICATE_REMAINING_S: _certificate_remaining_s(varz),
    }


def _certificate_remaining_s(varz: Varz) -> float | None:
    """By the server's own clock, which judges nothing: clients do, by theirs; never below 0."""
    until = varz.certificate_until
    return max(0.0, float((until - varz.now) // timedelta(seconds=1))) if until is not None else None


def _seconds(before: Varz | None, now: Varz) -> float | None:
    return elapsed_s(before.now, now.now) if before is not None and before.server_id == now.server_id else None


def _varz_by_name(sample: Sample | None) -> dict[str, Varz]:
    servers = sample.named if sample is not None else ()
    return {server.name: server.varz for server in servers if server.varz is not None}


def _changes(before: Varz | None, now: Varz, scope: Scope) -> Iterator[Event]:
    published = scope.published.get(scope.ref(KIND, now.server_name))
    known_id = before.server_id if before is not None else published.uid if published is not None else now.server_id
    if known_id != now.server_id:
        text = f"nats_server {now.server_name} restarted (version {now.version})."
        yield _event(now, scope, reasons.SERVER_RESTARTED, "warning", text, f"{now.server_id}:started", now.start)
    if before is None or before.server_id != now.server_id:
        return
    if (disconnected := now.slow_consumers - before.slow_consumers) > 0:
        text = f"nats_server {now.server_name} disconnected {worded(disconnected, '{slow_consumer}')}."
        key = f"{now.server_id}:slow-consumers:{now.slow_consumers}"
        yield _event(now, scope, reasons.SLOW_CONSUMER, "warning", text, key, scope.at, count=disconnected)
    if now.config_load_time != before.config_load_time:
        text = f"nats_server {now.server_name} reloaded its configuration."
        key = f"{now.server_id}:config:{now.config_load_time.isoformat()}"
        yield _event(now, scope, reasons.CONFIG_RELOADED, "info", text, key, now.config_load_time)


def _event(
    varz: Varz, scope: Scope, reason: ReasonName, severity: str, text: str, key: str, at: datetime, *, count: int = 1
) -> Event:
    return Event(
        text=text,
        id=key,
        ref=scope.ref(KIND, varz.server_name),
        source=SOURCE,
        type="Warning" if severity == "warning" else "Normal",
        reason=reason,
        severity=severity,
        first_at=at,
        last_at=at,
        count=count,
        uid=varz.server_id,
    )
