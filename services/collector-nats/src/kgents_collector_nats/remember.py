"""A sample and the one before → the sample with its gaps filled: what could not be read now is not gone. Pure."""

from datetime import datetime

from msgspec import structs

from kgents_collector_nats.sample import ENDPOINTS, EPOCH, Connz, Endpoint, Sample, Server


def remember(previous: Sample | None, current: Sample) -> Sample:
    """The sample with its gaps filled from the one before, so that an unreachable server's entities are not removed."""
    before = {server.origin: server for server in previous.servers} if previous is not None else {}
    servers = [_filled(server, before.pop(server.origin, None)) for server in current.servers]
    if len(current.servers) < current.expected:
        servers += [structs.replace(server, stale=frozenset(ENDPOINTS), healthz=None) for server in before.values()]
    return structs.replace(current, servers=tuple(servers))


def _filled(server: Server, before: Server | None) -> Server:
    if before is None:
        return structs.replace(server, clients_since=_oldest_connection(server.connz))
    # While a server shuts down, or after a disk error, it reports JetStream as off; its streams still exist.
    was_on = server.jsz is not None and before.jsz is not None and not before.jsz.disabled
    is_off = was_on and server.jsz is not None and server.jsz.disabled and _is_same_start(server, before)
    missing: set[Endpoint] = {endpoint for endpoint in ENDPOINTS if getattr(server, endpoint) is None}
    if is_off:
        missing.add("jsz")
    kept = {endpoint: getattr(before, endpoint) for endpoint in missing}
    return structs.replace(server, stale=frozenset(missing), clients_since=_clients_since(server, before), **kept)


def _clients_since(server: Server, before: Server) -> datetime:
    connz, old = server.connz, before.connz
    if connz is None:
        return before.clients_since
    if old is None or old.server_id != connz.server_id:
        return _oldest_connection(connz)
    return connz.now if "connz" in before.stale else before.clients_since


def _oldest_connection(connz: Connz | None) -> datetime:
    """A server that has just lost all of its clients has no older connection than those that came back."""
    if connz is None:
        return EPOCH
    return min((each.start for each in connz.connections), default=connz.now)


def _is_same_start(server: Server, before: Server) -> bool:
    return server.jsz is not None and before.jsz is not None and server.jsz.server_id == before.jsz.server_id
