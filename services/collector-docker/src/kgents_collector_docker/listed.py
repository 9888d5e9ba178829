"""`GET /containers/json` → what it says of each container, as far as an inspection would. Pure.

The engine answers it from memory, also while the runtime of a container hangs and its inspection gets no answer. It has
no limits, times, restart count and policy: a container that is known by the list alone is published as unread.
"""

import re
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct, field

from kgents_collector_docker.answers import (
    Container,
    Endpoint,
    Health,
    HostConfig,
    Mount,
    NetworkSettings,
    PortBinding,
    Settings,
    State,
)

_EXIT_CODE: Final = re.compile(r"(?:Exited|Restarting) \((\d+)\)")
_HEALTH: Final = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)\Z")
"""`Exited (137) 2 hours ago`, `Up 3 minutes (healthy)`: what the list has as text alone."""


class ListedPort(Struct, frozen=True, rename="pascal"):
    """One port; without a public one it is only exposed."""

    ip: str = field(name="IP", default="")
    private_port: int = 0
    public_port: int = 0
    type: str = "tcp"


class ListedNetworks(Struct, frozen=True, rename="pascal"):
    """`NetworkSettings` of the list."""

    networks: dict[str, Endpoint | None] | None = None


class Listed(Struct, frozen=True, rename="pascal"):
    """One entry. The command is not read."""

    id: str
    names: list[str] | None = None
    image: str = ""
    """The reference that it was created with, or the id where that is another image's by now."""
    image_id: str = field(name="ImageID", default="")
    created: int = 0
    state: str = ""
    status: str = ""
    labels: dict[str, str] | None = None
    ports: list[ListedPort] | None = None
    host_config: HostConfig = HostConfig()
    network_settings: ListedNetworks = ListedNetworks()
    mounts: list[Mount] | None = None

    @property
    def container(self) -> Container:
        """As an inspection would say it."""
        # Links to it from other containers are names, too, with the other's in front: `/web/db`.
        own = [name for name in self.names or () if name.count("/") == 1]
        return Container(
            id=self.id,
            name=min(own, default=self.id[:12]),
            image=self.image_id,
            created=datetime.fromtimestamp(self.created, UTC) if self.created else None,
            state=self._state,
            config=Settings(self.image, self.labels),
            host_config=self.host_config,
            network_settings=NetworkSettings(self.network_settings.networks, self._ports),
            mounts=self.mounts,
        )

    @property
    def _state(self) -> State:
        code, health = _EXIT_CODE.match(self.status), _HEALTH.search(self.status)
        return State(self.state, exit_code=int(code[1]) if code else 0, health=Health(health[1]) if health else None)

    @property
    def _ports(self) -> dict[str, list[PortBinding] | None]:
        found: dict[str, list[PortBinding] | None] = {}
        for each in self.ports or ():
            bindings = found.setdefault(f"{each.private_port}/{each.type}", None) or []
            if each.public_port:
                bindings.append(PortBinding(each.ip, str(each.public_port)))
                found[f"{each.private_port}/{each.type}"] = bindings
        return found
