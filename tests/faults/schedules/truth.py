"""What is really there: the observed systems, how a schedule changes them, and since when each part was absent.

Kubernetes is the stand-in API server in this process; NATS and Redis are real servers.
"""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from faults.schedules.names import CANARY, CLUSTER, Key
from faults.schedules.raw import Json, Reader
from support import kube_objects
from support.kube_api import KubeApi
from support.nats_server import NatsServer
from support.proxy import Proxy
from support.redis_server import RedisServer

KIND_OF = {
    "pods": "pod", "deployments.apps": "deployment", "services": "service", "nodes": "node",
    "namespaces": "namespace",
}  # fmt: skip
NAMES = ("cart", "web", "pay", "mail", "stock", "rates", "ship", "login")
MEMORY = {"cache": "database"}


class Truth:
    """The observed systems. `present` is what must be published, `absent_once` what was not there at some moment."""

    def __init__(self, directory: Path) -> None:
        self.api = KubeApi()
        self.observed = NatsServer(directory / "observed", name="observed", config=_LOGINS)
        self.redis = RedisServer(directory / "redis", password=CANARY)
        self.absent_once: set[Key] = set()
        self.changes = 0
        self._streams: set[str] = set()
        self._reader: Reader | None = None
        self._count = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Truth"]:
        url = self.observed.url.replace("nats://", f"nats://app:{CANARY}@")
        async with (
            self.api,
            self.observed,
            self.redis,
            Proxy(self.observed.monitor_port) as self.monitor_proxy,
            Proxy(self.redis.port) as self.redis_proxy,
            Reader([url]) as self._reader,
        ):
            self._populate()
            for _ in range(3):
                await self.add_stream()
            yield self

    def _populate(self) -> None:
        self.api.create(kube_objects.namespace("shop"))
        self.api.create(kube_objects.node("node-1"))
        self.api.create(kube_objects.secret("db", "shop", data={"password": CANARY}))
        self.api.create(kube_objects.service("cart", "shop"))
        self.api.create(kube_objects.configmap("settings", "shop", data={"dsn": f"postgres://u:{CANARY}@h/db"}))
        for content in kube_objects.deployment("cart", "shop", replicas=3, spec=_spec()):
            self.api.create(content)

    @property
    def present(self) -> dict[Key, str]:
        """Entity → its uid, or "" where the checker cannot know it."""
        found = {
            (kind, each["metadata"].get("namespace", ""), each["metadata"]["name"]): each["metadata"]["uid"]
            for resource, kind in KIND_OF.items()
            for each in self.api.objects(resource)
        }
        found |= {("nats_stream", "", name): "" for name in self._streams}
        return found | {("database", "", name): "" for name in MEMORY}

    def present_in(self, cluster: str) -> dict[Key, str]:
        """What of it is in a cluster."""
        return {key: uid for key, uid in self.present.items() if cluster == CLUSTER or key[0] == "nats_stream"}

    @property
    def kinds(self) -> set[str]:
        """Kinds of which nothing but what is present may be published."""
        return {*KIND_OF.values(), "nats_stream"}

    def begin(self) -> None:
        """A schedule begins: forget what was absent before."""
        self.absent_once = set()
        self.changes = 0

    async def change(self, dice: random.Random) -> str:
        """One change of something; returns what."""
        self.changes += 1
        pods = [each["metadata"]["name"] for each in self.api.objects("pods")]
        choice = dice.randrange(9)
        if choice in (4, 5) and self.observed.is_running:
            is_fewer = choice == 5 and len(self._streams) > 2
            return await (self.remove_stream(dice.choice(sorted(self._streams))) if is_fewer else self.add_stream())
        if choice < 2 or len(pods) < 3:
            return self.add_pod(dice)
        match choice:
            case 2:
                return self.remove_pod(dice.choice(pods))
            case 3:
                return self.replace_pod(dice.choice(pods), dice)
            case 6:
                return self.add_service(dice)
            case _:
                return self.give_reason(dice.choice(pods))

    def add_service(self, dice: random.Random) -> str:
        name = f"{dice.choice(NAMES)}-{self._next()}"
        self.absent_once.add(("service", "shop", name))
        self.api.create(kube_objects.service(name, "shop", selector={"app.kubernetes.io/name": "cart"}))
        return f"new service {name}"

    def give_reason(self, name: str) -> str:
        reason = f"Reason{self._next()}"
        self.api.patch_status("pods", "shop", name, {"reason": reason})
        return f"pod {name}: {reason}"

    def add_pod(self, dice: random.Random) -> str:
        name = f"{dice.choice(NAMES)}-{self._next()}"
        self.absent_once.add(("pod", "shop", name))
        self.api.create(kube_objects.pod(name, "shop", spec=_spec(), ip=f"10.9.{self._count >> 8}.{self._count & 255}"))
        return f"new pod {name}"

    def remove_pod(self, name: str) -> str:
        self.absent_once.add(("pod", "shop", name))
        self.api.delete("pods", "shop", name)
        return f"pod {name} deleted"

    def replace_pod(self, name: str, dice: random.Random) -> str:
        """Another incarnation under the same name, sometimes a failing one."""
        self.remove_pod(name)
        state = {"waiting": {"reason": "CrashLoopBackOff"}} if dice.random() < 0.3 else None
        self.api.create(kube_objects.pod(name, "shop", spec=_spec(), state=state))
        return f"pod {name} replaced"

    async def add_stream(self) -> str:
        assert self._reader is not None
        name = f"S{self._next()}"
        self.absent_once.add(("nats_stream", "", name))
        await self._reader.ask(f"$JS.API.STREAM.CREATE.{name}", {"name": name, "subjects": [f"s.{name}.>"]})
        self._streams.add(name)
        return f"new stream {name}"

    async def remove_stream(self, name: str) -> str:
        assert self._reader is not None
        self.absent_once.add(("nats_stream", "", name))
        self._streams.discard(name)
        await self._reader.ask(f"$JS.API.STREAM.DELETE.{name}")
        return f"stream {name} deleted"

    def _next(self) -> int:
        self._count += 1
        return self._count


def _spec() -> Json:
    spec = kube_objects.pod_spec()
    spec["containers"][0]["env"] = [{"name": "TOKEN", "value": CANARY}]
    return spec


_LOGINS = f'authorization {{ users: [{{ user: "app", password: "{CANARY}" }}] }}'
