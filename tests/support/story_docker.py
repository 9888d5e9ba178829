"""A Docker engine in a story: its answers as JSON → collector-docker's mapping → entities and pulses."""

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from kgents_collector_docker.answers import Container, EngineEvent, Info, Inventory, Stats
from kgents_collector_docker.mapping import observe
from kgents_collector_docker.mapping.pulse import Sample, measured, of_container, of_engine
from kgents_collector_docker.mapping.scope import SOURCE, Scope
from kgents_collector_docker.source.ends import Ends
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.unread import Unread
from support.story_world import CLUSTER, Step, World

POLL_S: Final = 10.0
HOST: Final = "vm"
ZERO: Final = "0001-01-01T00:00:00Z"
IMAGE_ID: Final = f"sha256:{'ab' * 32}"

Json = dict[str, Any]


class Engine:
    """One engine, and collector-docker, which polls it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.containers: dict[str, Json] = {}
        """Name → what the engine answers about it."""
        self.stats: dict[str, tuple[int, float, int]] = {}
        """Name → bytes in memory, share of a core, bytes of cached files in that memory."""
        self.hanging: dict[str, str] = {}
        """Name → why the container gives no answer."""
        self.fault = ""
        """Why the engine gives none."""
        self._ends = Ends()
        self._before: dict[str, Sample] = {}
        self._polled_s = float("-inf")

    @classmethod
    def of(cls, world: World) -> "Engine":
        """That of a story."""
        return world.source(SOURCE, cls, cls)

    def poll(self) -> None:
        """Observe and measure every POLL_S, and at once what has changed: the engine sends an event."""
        if self._world.now_s - self._polled_s < POLL_S:
            return
        self._polled_s = self._world.now_s
        self.observe()
        if self.fault:
            return
        inventory, scope = self._inventory(), self._scope()
        running = [inventory.containers[id_] for id_ in measured(inventory) if id_ not in inventory.unknown]
        now = {each.id: Sample(str(each.state.started_at), self._stats(each)) for each in running}
        found = [
            of_container(self._before.get(each.id), now[each.id], each, inventory.info, scope, interval_s=POLL_S)
            for each in running
        ]
        for pulse in [*found, of_engine(found, inventory, None, scope, interval_s=POLL_S)]:
            self._world.pulse(pulse)
        self._before = now

    def observe(self) -> None:
        """Publish what the engine has."""
        if self.fault:
            self._world.unread[SOURCE] = [Unread(reason=self.fault)]
            return
        facts = observe(self._inventory(), self._scope(), self._world.published_of(SOURCE, "").values())
        self._world.report(SOURCE, "", Facts(facts.entities, unread=facts.unread))

    def _inventory(self) -> Inventory:
        found = [msgspec.convert(each, Container) for each in self.containers.values()]
        info = Info("engine-id", HOST, ncpu=4, mem_total=8 * 1024**3)
        hanging = {each.id: self.hanging[each.own_name] for each in found if each.own_name in self.hanging}
        return Inventory(info, {each.id: each for each in found}, {}, {}, {}, ends=self._ends.known, unknown=hanging)

    def notice(self, name: str, action: str, **attributes: str) -> None:
        """The engine reports an event of a container."""
        actor = {"ID": self.containers[name]["Id"], "Attributes": {"name": name, **attributes}}
        raw = {"Type": "container", "Action": action, "Actor": actor, "timeNano": self._world.now_ns}
        self._ends.add(msgspec.convert(raw, EngineEvent))

    def _scope(self) -> Scope:
        return Scope(CLUSTER, "", HOST, self._world.now, self._world.now)

    def _stats(self, container: Container) -> Stats:
        memory, cores, cache = self.stats.get(container.own_name, (10 * 1024**2, 0.01, 0))
        raw = {
            "read": self._world.now.isoformat(),
            "cpu_stats": {"cpu_usage": {"total_usage": int(self._world.now_s * cores * 1e9)}},
            "memory_stats": {"usage": memory, "stats": {"inactive_file": 0, "active_file": cache}},
            "pids_stats": {"current": 5},
        }
        return msgspec.convert(raw, Stats)


def stamp(time: datetime) -> str:
    """As an engine prints it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def container(
    name: str,
    status: str = "running",
    *,
    started: str = "now",
    ended_s: float | None = None,
    exit_code: int = 0,
    is_out_of_memory: bool = False,
    restarts: int = 0,
    policy: str = "always",
    memory_limit: int = 0,
    health: str = "",
    incarnation: int = 1,
    labels: dict[str, str] | None = None,
) -> Step:
    """A container in this state from now on.

    Args:
        name: its name.
        status: as the engine has it: `running`, `exited`, `restarting`, …
        started: `now`: it is started in this moment; `before`: as the last step about it has it.
        ended_s: how many seconds ago it ended; None: never.
        exit_code: how.
        is_out_of_memory: whether the kernel killed one of its processes for its memory.
        restarts: how often its policy restarted it.
        policy: its restart policy.
        memory_limit: in bytes; 0: none.
        health: what its health check says.
        incarnation: a container of the same name that is made later has another id.
        labels: its labels.
    """

    def step(world: World) -> None:
        engine, before = Engine.of(world), None
        before = engine.containers.get(name)
        started_at = stamp(world.now) if started == "now" or before is None else before["State"]["StartedAt"]
        finished = ZERO if ended_s is None else stamp(world.now - timedelta(seconds=ended_s))
        state: Json = {
            "Status": status, "ExitCode": exit_code, "OOMKilled": is_out_of_memory, "StartedAt": started_at,
            "FinishedAt": finished,
        }  # fmt: skip
        if health:
            state["Health"] = {"Status": health}
        engine.containers[name] = {
            "Id": f"{name}{incarnation}".ljust(64, "0"),
            "Name": f"/{name}",
            "Image": IMAGE_ID,
            "Created": stamp(world.now) if before is None else before["Created"],
            "RestartCount": restarts,
            "State": state,
            "Config": {"Image": "shop/cart:1.2", "Labels": labels or {}},
            "HostConfig": {"Memory": memory_limit, "RestartPolicy": {"Name": policy}},
            "NetworkSettings": {"Networks": {}, "Ports": {}},
            "Mounts": [],
        }
        engine.observe()

    return step


def removed(name: str) -> Step:
    """A container is gone."""

    def step(world: World) -> None:
        engine = Engine.of(world)
        del engine.containers[name]
        engine.observe()

    return step


def hangs(name: str, reason: str = "it did not answer") -> Step:
    """From now on nothing can be read of a container; with an empty reason it answers again."""

    def step(world: World) -> None:
        engine = Engine.of(world)
        engine.hanging = {**engine.hanging, name: reason} if reason else {}
        engine.observe()

    return step


def engine_is_down(reason: str = "there is no such socket") -> Step:
    """From now on nothing can be read of the engine; with an empty reason it is back."""

    def step(world: World) -> None:
        engine = Engine.of(world)
        engine.fault = reason
        engine.observe()

    return step


def uses(name: str, *, memory: int, cores: float = 0.01, cache: int = 0) -> Step:
    """From now on a container uses this much; `cache`: of its memory, files that are cached and in use."""

    def step(world: World) -> None:
        Engine.of(world).stats[name] = memory, cores, cache

    return step


def stopped(name: str, *, exit_code: int = 0, **more: Any) -> Step:
    """`docker stop`, Compose or Swarm ends a container: 143 or 0 if it listens, 137 if it is killed in the end."""

    def step(world: World) -> None:
        engine = Engine.of(world)
        engine.notice(name, "kill", signal="15")
        if exit_code == 137:
            engine.notice(name, "kill", signal="9")
        engine.notice(name, "die", exitCode=str(exit_code))
        engine.notice(name, "stop")
        container(name, "exited", started="before", ended_s=0, exit_code=exit_code, **more)(world)

    return step


def died(name: str, status: str = "exited", *, exit_code: int, is_out_of_memory: bool = False, **more: Any) -> Step:
    """A container ends by itself, or is killed from outside; `restarting`: its policy starts it again."""

    def step(world: World) -> None:
        engine = Engine.of(world)
        if is_out_of_memory:
            engine.notice(name, "oom")
        engine.notice(name, "die", exitCode=str(exit_code))
        container(
            name, status, started="before", ended_s=0, exit_code=exit_code, is_out_of_memory=is_out_of_memory, **more
        )(world)

    return step
