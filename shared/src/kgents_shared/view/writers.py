"""Heartbeats of topology-builder and health-scorer → what of their output is not kept up to date. Pure.

A reader cannot see that a message is missing. A service that is gone, or whose messages NATS does not store, shows only
by its heartbeats: by their age on the server's clock, whether the server has dropped them or still holds them (without
disk space it can do neither), and by what they name as unread.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from kgents_shared.contract.attestation import WRITERS, Scopes
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.meta import HEARTBEAT_TTL_S, Heartbeat, is_reserved
from kgents_shared.contract.subjects import parse
from kgents_shared.contract.unread import Unread

SILENT_AFTER_NS: Final = HEARTBEAT_TTL_S * 1_000_000_000
"""How long a service may be away, or unable to publish: a restart, or a takeover, takes less."""
NO_HEARTBEAT: Final = "no heartbeat"

_WORKING: Final = ("syncing", "in_sync", "degraded")


class _Writer(msgspec.Struct):
    """One service of one cluster, all instances together."""

    attested_ns: int = 0
    """When it last reported that everything is published."""
    beat: Heartbeat | None = None
    """The last heartbeat of an instance at work …"""
    beat_ns: int = 0
    """… and when it was stored."""


class Writers:
    """The services of all clusters, by their heartbeats."""

    def __init__(self, services: Iterable[str] = WRITERS) -> None:
        self.is_required = False
        """Whether a service that no message is known of counts as silent, too."""
        self._services = tuple(services)
        self._writers: dict[tuple[str, str], _Writer] = {}

    @property
    def clusters(self) -> list[str]:
        """Those that anything is known of."""
        return list(dict.fromkeys(cluster for cluster, _ in self._writers))

    def judges(self, subject: str) -> bool:
        """Whether it is the subject of a heartbeat that counts."""
        try:
            tokens = parse(subject).tokens
        except MalformedMessageError:  # anyone may have published it
            return False
        return tokens["service"] in self._services and not is_reserved(tokens["instance"])

    def take(self, subject: str, beat: Heartbeat | None, time_ns: int) -> None:
        """The next message on a subject that it judges, and when it was stored; None: the heartbeat has expired."""
        parsed = parse(subject)
        key = (parsed.value("cluster"), parsed.tokens["service"])
        writer = self._writers.setdefault(key, _Writer())
        if beat is None or beat.state not in _WORKING:
            return
        writer.beat, writer.beat_ns = beat, time_ns
        if beat.state == "in_sync" and not beat.unread:
            writer.attested_ns = time_ns

    def silent(self, clusters: Iterable[str], now_ns: int) -> Scopes:
        """What is not kept up to date in these clusters, at a time by the server's clock."""
        keys = [(cluster, service) for cluster in clusters for service in self._services]
        found = {key: self._scopes(key, now_ns) for key in keys}
        return {key: scopes for key, scopes in found.items() if scopes}

    def _scopes(self, key: tuple[str, str], now_ns: int) -> Sequence[Unread]:
        writer = self._writers.get(key)
        if writer is None:
            return [Unread(reason=NO_HEARTBEAT)] if self.is_required else ()
        if now_ns - writer.attested_ns < SILENT_AFTER_NS:
            return ()
        since = datetime.fromtimestamp(writer.attested_ns / 1e9, UTC) if writer.attested_ns else None
        if writer.beat is None or now_ns - writer.beat_ns >= SILENT_AFTER_NS:
            return [Unread(since=since, reason=NO_HEARTBEAT)]
        reason = writer.beat.reason or f"it is {writer.beat.state.replace('_', ' ')}"
        unread = writer.beat.unread or [Unread(reason=reason)]
        return [msgspec.structs.replace(each, since=each.since or since) for each in unread]
