"""Counters of two samples → growth and rates in between; None across a restart or reset. Pure.

Redis counts since its start or the last CONFIG RESETSTAT. Such totals hide the present: a cache that missed every key
of the last hour still shows the hit rate of the past year.
"""

from collections.abc import Mapping
from typing import Final, Self

from msgspec import Struct

from kgents_collector_db.mapping.redis.info import Info, figure
from kgents_collector_db.mapping.redis.sample import RedisSample

_NEVER_FALL: Final = (
    "total_commands_processed",
    "total_connections_received",
    "total_net_input_bytes",
    "total_net_output_bytes",
    "keyspace_hits",
    "keyspace_misses",
    "expired_keys",
    "evicted_keys",
    "rejected_connections",
)
"""Counters that CONFIG RESETSTAT resets: it was called if one of them fell."""

OWN: Final = frozenset(
    {"ping", "info", "slowlog", "latency", "cluster", "client", "auth", "hello", "replconf", "psync"}
)
"""Commands of monitoring and replicas: left out of figures about applications."""


COMMANDS_MIN: Final = 20.0
"""Fewer commands between two polls are no verdict on how many fail."""
EXPECTED: Final = (
    "MOVED", "ASK", "TRYAGAIN", "NOSCRIPT", "BUSYGROUP", "BUSYKEY",
    "OOM", "MISCONF", "NOREPLICAS", "READONLY", "CLUSTERDOWN", "LOADING", "BUSY", "MASTERDOWN",
)  # fmt: skip
"""Codes of errors that are routine (a redirection, a script to be loaded), and of those that other figures count."""


class Delta(Struct, frozen=True):
    """Two polls between which the server neither restarted nor reset its statistics."""

    before: Info
    now: Info
    seconds: float
    own_commands: int

    @classmethod
    def between(cls, previous: RedisSample | None, current: RedisSample) -> Self | None:
        """None at the first poll, and across a failed poll, a restart or a reset."""
        if previous is None or previous.info is None or current.info is None:
            return None
        seconds = current.info_at_s - previous.info_at_s
        if previous.info.run_id != current.info.run_id or seconds <= 0 or was_reset(previous.info, current.info):
            return None
        own = max(0, current.own_commands - previous.own_commands)
        return cls(previous.info, current.info, seconds, own)

    def count(self, name: str) -> float | None:
        """Growth of a counter."""
        return _growth(self.before.number(name), self.now.number(name))

    def rate(self, name: str) -> float | None:
        """Growth of a counter per second."""
        count = self.count(name)
        return None if count is None else count / self.seconds

    def errors(self, code: str) -> float | None:
        """How many replies were errors of this code (`OOM`); None before Redis 6.2, which does not count them."""
        if self.now.number("total_error_replies") is None:
            return None
        name = f"errorstat_{code}"
        counts = [figure(info.group("errorstat_").get(code, {}), "count") or 0.0 for info in (self.before, self.now)]
        return _growth(*counts) if name in self.now.fields else 0.0

    @property
    def failed_ratio(self) -> float | None:
        """Share of application commands that were rejected or failed; None of fewer than COMMANDS_MIN.

        Without errors that are routine, or that have checks of their own.
        """
        before, now = (_applications(info.group("cmdstat_")) for info in (self.before, self.now))
        grown = dict.fromkeys(("calls", "rejected_calls", "failed_calls"), 0.0)
        for command, fields in now.items():
            for name in grown:
                grown[name] += _growth(figure(before.get(command, {}), name) or 0.0, figure(fields, name)) or 0.0
        commands = grown["calls"] + grown["rejected_calls"]
        if commands < COMMANDS_MIN:
            return None
        expected = sum(self.errors(code) or 0.0 for code in EXPECTED)
        return min(1.0, max(0.0, grown["rejected_calls"] + grown["failed_calls"] - expected) / commands)

    @property
    def commands_per_second(self) -> float | None:
        """Commands per second, without our own."""
        count = self.count("total_commands_processed")
        return None if count is None else max(0.0, count - self.own_commands) / self.seconds

    @property
    def hit_ratio(self) -> float | None:
        """Share of key lookups between the two polls that found their key; None without lookups."""
        hits, misses = self.count("keyspace_hits"), self.count("keyspace_misses")
        if hits is None or misses is None or hits + misses == 0:
            return None
        return hits / (hits + misses)

    @property
    def command_s(self) -> float | None:
        """Mean duration of application commands in seconds."""
        calls = usec = 0.0
        before = self.before.group("cmdstat_")
        for name, fields in _applications(self.now.group("cmdstat_")).items():
            calls += _growth(figure(before.get(name, {}), "calls") or 0.0, figure(fields, "calls")) or 0.0
            usec += _growth(figure(before.get(name, {}), "usec") or 0.0, figure(fields, "usec")) or 0.0
        return usec / calls / 1e6 if calls else None


def was_reset(before: Info, now: Info) -> bool:
    """Whether the statistics were reset between two polls without a restart."""
    pairs = ((before.number(name), now.number(name)) for name in _NEVER_FALL)
    return any(old is not None and new is not None and new < old for old, new in pairs)


def is_application(command: str) -> bool:
    """Whether applications send such a command; `config|get` is a `config`."""
    return command.partition("|")[0] not in OWN


def _applications(commands: Mapping[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    return {name: fields for name, fields in commands.items() if is_application(name)}


def _growth(before: float | None, now: float | None) -> float | None:
    return now - before if before is not None and now is not None and now >= before else None
