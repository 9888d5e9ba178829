"""A Docker engine that a test decides, as `Watch` sees one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kgents_collector_docker.answers import Container, EngineEvent, Image, Info, Network, Volume, Volumes
from kgents_collector_docker.listed import Listed
from kgents_collector_docker.source.fault import EngineError, GoneError, RefusedError, SilentError
from support.docker_answers import make_container, make_event, make_state

IDS = ("a", "b", "c")
STATES = ("created", "running", "exited", "paused")


class Model:
    """An engine as a state, a log of events of which each stands after its cause, and answers that take their time.

    It has what `Watch` asks of a `Client`.
    """

    where = "model"

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.networks: dict[str, Network] = {}
        self.volumes: dict[str, Volume] = {}
        self.images = {"i0": Image("i0", ["x:1"]), "i1": Image("i1", [])}
        self.refused: set[str] = set()
        """Paths that are answered with an error of their own."""
        self.silent: set[str] = set()
        """Paths that are not answered in time."""
        self.hanging: set[str] = set()
        """Paths that are not answered at all."""
        self.asked: list[str] = []
        """Of these, the paths that were asked for."""
        self.silent_volumes: set[str] = set()
        """Volumes whose driver does not answer."""
        self.pauses: list[int] = []
        """How many turns of the loop the next answers and events take."""
        self.is_down = False
        self._streams: list[asyncio.Queue[EngineEvent | None]] = []
        self._log: list[EngineEvent] = []

    async def get_slowly(self, path: str, type_: Any, **_: str) -> Any:
        return await self.get(path, type_)

    async def get(self, path: str, type_: Any, **_: str) -> Any:
        await self._dawdle()
        if self.is_down:
            raise EngineError("down")
        if path in self.refused:
            raise RefusedError(f"refused {path}")
        if path in self.silent:
            raise SilentError(f"silent {path}")
        if path in self.hanging:
            self.asked.append(path)
            await asyncio.Event().wait()
        answer = self._answer(path.split("/"))  # the state at one moment, which may be past when it arrives
        await self._dawdle()
        return answer

    def _answer(self, path: list[str]) -> Any:
        match path:
            case ["info"]:
                return Info("id", "vm")
            case ["containers", id_, "json"]:
                if id_ not in self.containers:
                    raise GoneError(id_)
                return self.containers[id_]
            case ["images", id_, "json"]:
                return self.images[id_]
            case ["volumes"]:
                shown = [each for each in self.volumes.values() if each.name not in self.silent_volumes]
                return Volumes(shown, ["no answer"] if self.silent_volumes else None)
            case _:
                return {
                    "networks": list(self.networks.values()),
                    "containers/json": [
                        Listed(id_, [each.name], image_id=each.image, state=each.state.status)
                        for id_, each in self.containers.items()
                    ],
                    "version": b"{}",
                }["/".join(path)]

    @asynccontextmanager
    async def events(self, since_ns: int | None) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        if self.is_down:
            raise EngineError("down")
        queue: asyncio.Queue[EngineEvent | None] = asyncio.Queue()
        for event in self._log[-4:]:  # it remembers few
            if since_ns is not None and event.time_ns >= since_ns:
                queue.put_nowait(event)
        self._streams.append(queue)
        try:
            yield self._read(queue)
        finally:
            self._streams.remove(queue)

    async def _read(self, queue: "asyncio.Queue[EngineEvent | None]") -> AsyncIterator[EngineEvent]:
        while (event := await queue.get()) is not None:
            await self._dawdle()
            yield event
        raise EngineError("cut")

    async def close(self) -> None:
        pass

    async def _dawdle(self) -> None:
        for _ in range(self.pauses.pop() if self.pauses else 0):
            await asyncio.sleep(0)

    def emit(self, type_: str, action: str, id_: str, **attributes: str) -> None:
        event = make_event(type_, action, id_, time_ns=len(self._log) + 1, **attributes)
        self._log.append(event)
        for stream in self._streams:
            stream.put_nowait(event)
            if len(self._log) % 3 == 0:
                stream.put_nowait(event)  # some come twice

    def cut(self) -> None:
        for stream in self._streams:
            stream.put_nowait(None)

    def do(self, verb: str, id_: str, number: int) -> None:
        match verb:
            case "set":
                state = make_state(STATES[number % len(STATES)])
                self.containers[id_] = make_container(f"{id_}{number}", id=id_, state=state, image=f"i{number % 2}")
                self.emit("container", "start", id_, name=id_)
            case "remove":
                self.containers.pop(id_, None)
                self.emit("container", "destroy", id_, name=id_)
            case "network" if id_ in self.networks:
                del self.networks[id_]
                self.emit("network", "destroy", id_, name=id_)
            case "network":
                self.networks[id_] = Network(id_, f"{id_}{number}")
                self.emit("network", "create", id_, name=id_)
            case "volume" if id_ in self.volumes:
                del self.volumes[id_]
                self.emit("volume", "destroy", id_)
            case "volume":
                self.volumes[id_] = Volume(id_, driver=str(number))
                self.emit("volume", "create", id_)
            case "retag":  # an event names the image with the tag, none the image without it
                winner, loser = f"i{number % 2}", f"i{1 - number % 2}"
                self.images |= {winner: Image(winner, ["x:1"]), loser: Image(loser, [])}
                self.emit("image", "tag", winner)
            case "cut":
                self.cut()
            case "restart":  # it forgets its events, and emits none for what it does meanwhile
                self.cut()
                self._log = [make_event("daemon", "start", time_ns=each.time_ns) for each in self._log]
                self.is_down = not self.is_down
            case _:
                raise AssertionError(verb)

    @property
    def listed(self) -> tuple[object, ...]:
        used = {each.image for each in self.containers.values()}
        images = {id_: each for id_, each in self.images.items() if id_ in used}
        return self.containers, self.networks, self.volumes, images
