"""Which clusters this process runs its service for: KGENTS_META and the streams → `sharing.assign` → `Partition`s.

An instance takes what it should hold and is free, and waits beside the lease of what it should hold and another one
does. It releases a cluster only to an instance that is alive and wants it, so knowledge that differs moves nothing.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing
from typing import Final, Generic, TypeVar

import structlog

from kgents_shared.bus.state_view import StateView
from kgents_shared.bus.turns import until_turn_s
from kgents_shared.contract.codec import META
from kgents_shared.contract.errors import BusError, MalformedMessageError
from kgents_shared.contract.meta import Share
from kgents_shared.contract.section import Section
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.clusters import Clusters
from kgents_shared.runtime.partition import Partition, until_provisioned
from kgents_shared.runtime.service import Context
from kgents_shared.runtime.sharing import Member, Roster, assign, both

C = TypeVar("C", bound=Section)

LOADING_MAX: Final = 4
"""Clusters that load at a time. Each has three tasks that take a time slice of 10 ms before a lease has its turn."""
SETTLE_S: Final = 2.0
"""After each connection, before this instance takes anything: others are about to announce themselves, or to go on
after an outage. Its own cluster it takes at once when it starts, so that a single instance never waits."""
LEFT_FREE_S: Final = 3.0
"""How long a cluster may stay free that another instance should take; then any instance takes it."""
KEPT_S: Final = 60.0
"""How long it is kept then: the other one lives and wants it, but did not take it."""
DECIDE_S: Final = 0.5
"""How often is decided while time alone may change something."""
AT_REST_S: Final = 30.0
"""And else: what is news is decided at once."""
TOGETHER_S: Final = 0.05
"""What changes within this time is decided together."""
FIND_INTERVAL_S: Final = 2.0
"""How often new clusters are looked for."""

_log = structlog.get_logger(__name__)


class Partitions(Generic[C]):
    """The clusters of one process."""

    def __init__(self, root: Context[C]) -> None:
        self._root = root
        self._me = root.common.instance
        clusters = root.service.clusters
        scope = [root.cluster] if clusters is None else clusters(root.config)
        self._own = Member(frozenset(scope), frozenset((root.cluster,)))
        self._is_shared = clusters is not None
        self._found: frozenset[str] = frozenset()
        self._roster = Roster()
        self._running: dict[str, tuple[Partition[C], asyncio.Task[None]]] = {}
        self._ending: set[str] = set()
        self._loading = asyncio.Semaphore(LOADING_MAX)
        self._changed = asyncio.Event()
        self._is_known = asyncio.Event()  # what KGENTS_META held when we began
        self._settled_s = float("inf")  # from when on this instance may take clusters
        self._is_first_session = True
        self._free_since_s: dict[str, float] = {}
        self._kept_until_s: dict[str, float] = {}

    @property
    def contexts(self) -> list[Context[C]]:
        """One for each cluster that this instance runs for; the first one is its own, in any case."""
        others = [partition.context for partition, _ in self._running.values() if partition.is_held]
        return [self._root, *(each for each in others if each is not self._root)]

    async def run(self) -> None:
        """Take clusters and release them. When cancelled, all are released. Never returns."""
        await until_provisioned(self._root)
        self._announce(frozenset())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._find())
            await self._is_known.wait()
            while True:
                self._changed.clear()
                self._decide(tasks)
                try:
                    async with asyncio.timeout(DECIDE_S if self._waits else until_turn_s(AT_REST_S)):
                        await self._changed.wait()
                except TimeoutError:
                    continue
                await asyncio.sleep(TOGETHER_S)

    # What is known

    async def _follow(self) -> None:
        """Keep track of the other instances, and of who holds which lease."""
        root = self._root
        view = StateView(root.bus, META, NAME_BY_SIGNAL["meta"], [root.service.members(root.cluster)])
        async with aclosing(view.follow()) as news:
            async for changes in news:
                for each in changes.changes:
                    try:
                        if self._roster.note(each.subject, each.old, each.new):
                            self._changed.set()
                    except MalformedMessageError as error:
                        _log.warning("malformed_subject", subject=each.subject, reason=str(error))
                if changes.caught_up:
                    self._is_known.set()

    async def _find(self) -> None:
        """Keep track of which clusters there are, and of connections."""
        clusters = Clusters(self._root.service.found_in)
        async for session in self._root.bus.sessions():
            self._settled_s = time.monotonic() + SETTLE_S
            self._changed.set()
            while not session.lost.is_set():
                if self._is_shared:
                    try:
                        found = await clusters.read(session)
                    except BusError as error:
                        _log.warning("clusters_not_read", error=str(error), retry_in_s=FIND_INTERVAL_S)
                    else:
                        if found != self._found:
                            self._found = found
                            self._changed.set()
                try:
                    async with asyncio.timeout(FIND_INTERVAL_S if self._is_shared else None):
                        await session.lost.wait()
                except TimeoutError:
                    pass
            self._is_first_session = False

    # What follows

    @property
    def _waits(self) -> bool:
        """Whether time alone may change what is decided."""
        now_s = time.monotonic()
        is_kept = any(until_s > now_s for until_s in self._kept_until_s.values())
        return now_s < self._settled_s or bool(self._free_since_s) or is_kept

    def _decide(self, tasks: asyncio.TaskGroup) -> None:
        members = self._roster.members()
        members[self._me] = both(members[self._me], self._own) if self._me in members else self._own
        clusters = self._found.union(
            *(member.clusters or member.homes for member in members.values()),
        )
        held = self._roster.held | dict.fromkeys(self._held(), self._me)
        target = assign(clusters, members, held)
        mine = {each for each, member in target.items() if member == self._me and self._own.may_hold(each)}
        wanted = {each for each in mine | self._left_free(target, held) if not self._roster.is_taken(each)}
        for cluster, (partition, task) in self._running.items():
            is_unwanted = cluster not in wanted and cluster not in self._ending
            if is_unwanted and self._may_end(partition, members.get(target.get(cluster, ""))):
                self._ending.add(cluster)
                task.cancel()
        for cluster in sorted(wanted - self._running.keys()):
            if self._may_begin(cluster):
                self._begin(cluster, tasks)
        self._announce(frozenset(mine - self._held()))
        if self._root.cluster not in self._running:
            self._root.status.set("standby", self._why_idle(held))

    def _held(self) -> set[str]:
        return {cluster for cluster, (partition, _) in self._running.items() if partition.is_held}

    def _left_free(self, target: Mapping[str, str], held: Mapping[str, str]) -> set[str]:
        """What another instance should take, and does not."""
        now_s = time.monotonic()
        if now_s < self._settled_s:
            self._free_since_s.clear()
            return set()
        free = [each for each, member in target.items() if each not in held and member != self._me]
        self._free_since_s = {each: self._free_since_s.get(each, now_s) for each in free if self._own.may_hold(each)}
        left = {each for each, since_s in self._free_since_s.items() if now_s - since_s > LEFT_FREE_S}
        self._kept_until_s.update(dict.fromkeys(left, now_s + KEPT_S))
        return left

    def _may_end(self, partition: Partition[C], member: Member | None) -> bool:
        """Whether to let a cluster go that this instance should not hold: to one that wants it, if there is one."""
        cluster = partition.context.cluster
        if not partition.is_held or member is None or self._roster.is_taken(cluster):
            return True
        return cluster in member.wants and time.monotonic() > self._kept_until_s.get(cluster, 0.0)

    def _may_begin(self, cluster: str) -> bool:
        is_own = cluster == self._root.cluster and self._is_first_session
        return is_own or time.monotonic() >= self._settled_s

    def _begin(self, cluster: str, tasks: asyncio.TaskGroup) -> None:
        context = self._root if cluster == self._root.cluster else self._root.of(cluster)
        partition = Partition(context, self._loading, self._changed.set)
        task = tasks.create_task(partition.run())
        self._running[cluster] = partition, task
        task.add_done_callback(lambda _: self._end(cluster))

    def _end(self, cluster: str) -> None:
        del self._running[cluster]
        self._ending.discard(cluster)
        self._changed.set()

    def _announce(self, wants: frozenset[str]) -> None:
        share = Share(home=self._root.cluster, clusters=sorted(self._own.clusters), wants=sorted(wants))
        self._root.status.announce(share)

    def _why_idle(self, held: Mapping[str, str]) -> str:
        if self._root.cluster in held:
            return "another instance holds the lease"
        count = len(self._held())
        return f"it writes {count} other cluster{'' if count == 1 else 's'}" if count else "no cluster to write"
