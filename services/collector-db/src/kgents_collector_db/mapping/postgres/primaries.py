"""All PostgreSQL servers that one collector polls: which are primaries, and of which database. Pure, apart from memory.

Servers of one database share its system identifier. A standby's lag is measured by the position of its primary, and two
writable primaries are a split brain. A copy of a database has its identifier too, so only those of one namespace count.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, structs

from kgents_collector_db.mapping import postgres
from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.mapping.postgres.sample import PostgresSample
from kgents_shared.contract.facts import Facts

MISSED: Final = 3
"""Intervals after which what was last polled of a primary no longer counts: its target may be gone."""


class Primary(Struct, frozen=True):
    """A primary as last polled."""

    system_id: str
    namespace: str
    started: datetime
    """Its last start, which no two servers share: one server may be polled under two names."""
    position: int | None
    is_writable: bool
    until: datetime
    """Whether it is writable is known until then."""


class Primaries:
    """The primaries among the polled servers."""

    def __init__(self) -> None:
        self._by_target: dict[tuple[str, str], Primary] = {}

    def observe(self, previous: PostgresSample | None, current: PostgresSample, scope: Scope) -> Facts:
        """All facts of one poll of one server, in view of the polls of the others."""
        self._note(current, scope)
        same = [each for each in self._by_target.values() if each.system_id == current.system_id]
        position = max((each.position for each in same if each.position is not None), default=None)
        others = {
            each.started
            for each in same
            if each.namespace == scope.namespace and each.is_writable and each.until > scope.at
        }
        own = {current.identity.started} if current.identity is not None else set()
        return postgres.observe(previous, current, scope, position, len(others - own))

    def _note(self, sample: PostgresSample, scope: Scope) -> None:
        target = (scope.namespace, scope.name)
        identity = sample.identity
        if identity is None:  # what it had written stays true, and it accepts nothing now
            if target in self._by_target:
                self._by_target[target] = structs.replace(self._by_target[target], is_writable=False)
            return
        if identity.in_recovery or not sample.system_id:
            self._by_target.pop(target, None)
            return
        self._by_target[target] = Primary(
            sample.system_id,
            scope.namespace,
            identity.started,
            sample.position,
            postgres.is_writable_primary(sample),
            scope.at + timedelta(seconds=MISSED * scope.interval_s),
        )
