"""Three nats-servers that are one cluster, each route of them through a proxy, so that a node can be isolated.

A node dials its peers at addresses that only it uses. What servers gossip about each other leads nowhere, so no route
takes another way.
"""

import json
from contextlib import AsyncExitStack, suppress
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import nats

from support.nats_server import NatsServer
from support.ports import free_port
from support.proxy import Proxy
from support.waiting import eventually

NOWHERE = "127.0.0.1:1"
PROBE = "PROBE"
"""A stream that is made and deleted to see whether the servers place one."""


class NatsCluster:
    """`async with NatsCluster(tmp_path) as cluster`; `nodes` are its servers, named n1, n2, …"""

    def __init__(self, directory: Path, *, size: int = 3, config: str = "", store_bytes: int = 0) -> None:
        """`store_bytes`: how much each node may store on disk; 0: no limit."""
        self.nodes: list[NatsServer] = []
        self._directory = directory
        self._config = config
        self._store_bytes = store_bytes
        self._ports = [free_port() for _ in range(size)]
        self._routes: dict[tuple[int, int], Proxy] = {}
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """Of all nodes."""
        return ",".join(node.url for node in self.nodes)

    async def __aenter__(self) -> "NatsCluster":
        for pair in permutations(range(len(self._ports)), 2):
            self._routes[pair] = await self._stack.enter_async_context(Proxy(self._ports[pair[1]]))
        for number in range(len(self._ports)):
            name = f"n{number + 1}"
            store = f'store_dir: "{self._directory / name / "data"}", max_file_store: {self._store_bytes}'
            limit = f"jetstream {{ {store} }}\n" if self._store_bytes else ""
            config = limit + self._cluster(number)
            node = NatsServer(self._directory / name, config=config, jetstream=not limit, name=name)
            self.nodes.append(node)
            await node.launch()
            self._stack.callback(node.kill)
        for node in self.nodes:
            await node.ready()
        await self.formed()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def formed(self) -> None:
        """Wait until JetStream answers at every node that runs, and places a stream on all of these."""
        running = [node for node in self.nodes if node.is_running]
        for node in running:
            await eventually(partial(_has_jetstream, node.url), within_s=60)
        await eventually(partial(_places_stream, running[0].url, len(running)), within_s=60)

    def isolate(self, number: int) -> None:
        """No route to or from a node passes; its clients still reach it."""
        for pair, proxy in self._routes.items():
            if number in pair:
                proxy.refuse()

    def heal(self) -> None:
        """Every route passes."""
        for proxy in self._routes.values():
            proxy.flow()

    async def leader_of(self, stream: str) -> int:
        """The number of the node that leads a stream."""

        async def name() -> str:
            for node in self.nodes:
                if node.is_running and (found := await _leader(node.url, stream)):
                    return found
            return ""

        return int((await eventually(name, within_s=60))[1:]) - 1

    def _cluster(self, number: int) -> str:
        routes = ", ".join(proxy.url for pair, proxy in self._routes.items() if pair[0] == number)
        port = self._ports[number]
        return (
            f'{self._config}\ncluster {{ name: C, listen: 127.0.0.1:{port}, advertise: "{NOWHERE}", '
            f"pool_size: -1, routes: [{routes}] }}"
        )


async def _ask(url: str, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """An answer of the JetStream API; empty if there is none."""
    payload = b"" if body is None else json.dumps(body).encode()
    with suppress(Exception):  # whatever nats-py raises, there is no answer
        client = await nats.connect(url, allow_reconnect=False, connect_timeout=1, max_reconnect_attempts=1)
        try:
            found: dict[str, Any] = json.loads((await client.request(subject, payload, timeout=2)).data)
        finally:
            await client.close()
        return found
    return {}


async def _has_jetstream(url: str) -> bool:
    answer = await _ask(url, "$JS.API.INFO")
    return bool(answer) and "error" not in answer


async def _places_stream(url: str, replicas: int) -> bool:
    """Whether the leader knows so many nodes: it may answer before it has heard of the others."""
    body = {"name": PROBE, "subjects": [PROBE], "storage": "memory", "num_replicas": replicas}
    answer = await _ask(url, f"$JS.API.STREAM.CREATE.{PROBE}", body)
    await _ask(url, f"$JS.API.STREAM.DELETE.{PROBE}")
    return bool(answer) and "error" not in answer


async def _leader(url: str, stream: str) -> str:
    answer = await _ask(url, f"$JS.API.STREAM.INFO.{stream}")
    return str(answer.get("cluster", {}).get("leader", ""))
