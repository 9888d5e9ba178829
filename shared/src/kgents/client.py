"""A connection to kgents: url and credentials → Client → streams of changes and messages, and single reads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Unpack

from kgents.parts import ALERTS, ENTITIES, HEALTH, TOPOLOGY
from kgents.streams import LogStream, StateStream
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig, Secret, TlsConfig
from kgents_shared.contract import codec
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import ConfigError, NotFoundError
from kgents_shared.contract.event import Event
from kgents_shared.contract.health import Health
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.view.entity import EntityView
from kgents_shared.view.find import path_of
from kgents_shared.view.live import snapshot
from kgents_shared.view.lookup import find_entities, find_entity, read_one
from kgents_shared.view.selection import Filters, select

NAME: Final = "kgents-client"
"""Of the connection, unless another is given."""
CONNECT_TIMEOUT_S: Final = 10.0


class Client:
    """Reads what kgents publishes. Made by `connect`.

    The filters of all methods: `cluster`, `kind`, `namespace` and `name` (in which `*` and `?` are wildcards), `source`
    (a collector that reports the entity, such as `k8s`) and `level` (of health: `healthy`, `warning`, `critical`,
    `unknown`) each take one value, several separated by commas, or a list. `label` takes a selector as kubectl reads it
    (`app=cart,tier in (web,api),!legacy`), or labels with their exact values. All of them must fit. A filter that is
    not valid raises ValueError at once.
    """

    def __init__(self, bus: Bus) -> None:
        """Read over a connection that a service has already."""
        self._bus = bus

    def entities(
        self,
        *,
        position_file: Path | None = None,
        **filters: Unpack[Filters],
    ) -> StateStream[EntityView]:
        """Every entity with its health and alerts joined, and every change of any of the three.

        Args:
            position_file: where to remember how far this program has come, and what it held; belongs to this call
                alone. Without it every start begins with a snapshot.
            filters: see Client.
        """
        return StateStream(self._bus, ENTITIES, select(**filters), position_file)

    def topology(
        self,
        *,
        position_file: Path | None = None,
        **filters: Unpack[Filters],
    ) -> StateStream[TopologyEntity]:
        """What is there: status, labels, attributes, connections; and every change. Arguments as for `entities`."""
        return StateStream(self._bus, TOPOLOGY, select(**filters), position_file)

    def health(
        self,
        *,
        position_file: Path | None = None,
        **filters: Unpack[Filters],
    ) -> StateStream[Health]:
        """How well each entity is (score 0 to 1, level, reasons), and every change. Arguments as for `entities`.

        The entity of kind `cluster` is the sum over all others of its cluster.
        """
        return StateStream(self._bus, HEALTH, select(**filters), position_file)

    def alerts(
        self,
        *,
        position_file: Path | None = None,
        **filters: Unpack[Filters],
    ) -> StateStream[Alert]:
        """Every alert (pending, firing or resolved), and every change of its state. Arguments as for `entities`."""
        return StateStream(self._bus, ALERTS, select(**filters), position_file)

    def events(
        self,
        *,
        since: datetime | timedelta | None = None,
        position_file: Path | None = None,
        **filters: Unpack[Filters],
    ) -> LogStream[Event]:
        """What happens: Kubernetes and Docker events, database and NATS events; kept for seven days by default.

        Args:
            since: begin with what was stored since this time, or for so long. None: with what comes next.
            position_file: where to remember how far this program has come; then `since` is for its first start.
            filters: see Client. Labels and levels are those that the entity has when its event is read; `source` is
                the collector that reports the event.
        """
        return LogStream(self._bus, codec.EVENT, select(**filters), since, position_file)

    def pulses(
        self,
        *,
        since: datetime | timedelta | None = None,
        position_file: Path | None = None,
        **filters: Unpack[Filters],
    ) -> LogStream[Pulse]:
        """Samples of what entities use: CPU in percent of one core, memory in bytes; kept for an hour by default.

        Arguments as for `events`.
        """
        return LogStream(self._bus, codec.PULSE, select(**filters), since, position_file)

    async def snapshot(self, **filters: Unpack[Filters]) -> list[EntityView]:
        """The entities that are there now, with health and alerts, in the order of their names.

        Raises:
            BusTimeoutError: they could not be read within 30 s.
        """
        fold = await snapshot(self._bus, select(**filters))
        return sorted(fold.entities(), key=lambda each: each.ref)

    async def get(self, entity: str | Ref, *, cluster: str | None = None) -> EntityView:
        """One entity, with its health and alerts.

        Args:
            entity: its ref, or a name that only one entity has: `pod/shop/cart-7f`, `pod/cart-7f`, `shop/cart-7f`,
                `cart-7f`, or the beginning or a part of one.
            cluster: where to search for a name; None: everywhere.

        Raises:
            NotFoundError: no entity is called that, or several are; the text names the nearest ones.
            BusTimeoutError: it could not be read within 30 s.
        """
        if isinstance(entity, str):
            return await find_entity(self._bus, entity, within=select(cluster=cluster))
        found = await read_one(self._bus, entity)
        if found is None:
            raise NotFoundError(f"no entity is named {path_of(entity)!r} in cluster {entity.cluster!r}")
        return found

    async def find(self, text: str, *, cluster: str | None = None) -> list[EntityView]:
        """The entities that a name may mean: those of exactly that name, else those that begin so, else contain it.

        At most 100, in the order of their names.

        Raises:
            BusTimeoutError: they could not be read within 30 s.
        """
        return await find_entities(self._bus, text, within=select(cluster=cluster))


@asynccontextmanager
async def connect(  # noqa: PLR0913 - one keyword for each way to log in
    url: str = "nats://127.0.0.1:4222",
    *,
    credentials_file: Path | str | None = None,
    nkey_seed: Path | str | None = None,
    user: str | None = None,
    password: Path | str | None = None,
    token: Path | str | None = None,
    tls: TlsConfig | None = None,
    name: str = NAME,
    timeout_s: float = CONNECT_TIMEOUT_S,
) -> AsyncIterator[Client]:
    """Connect to the NATS server that kgents publishes to. The connection is made again whenever it is lost.

    Args:
        url: one server, or several separated by commas; `tls://` demands TLS.
        credentials_file: a `.creds` file. At most one way to authenticate may be given.
        nkey_seed: the seed of an NKey user, or (a Path) the file that holds it.
        user: with `password`.
        password: itself, or (a Path) the file that holds it; a file is read again for each connection.
        token: itself, or (a Path) the file that holds it.
        tls: authorities to trust, a certificate to show. None: those of the system, and none.
        name: of the connection, on the server. Replies arrive under `_INBOX_<name>.<login>.>`, where the login is the
            user's name or public key.
        timeout_s: for the first connection.

    Raises:
        BusTimeoutError: no server answered within `timeout_s`; the text says why.
        ConfigError: the arguments do not fit together.
    """
    try:
        config = NatsConfig(
            url=url,
            credentials_file=str(credentials_file) if credentials_file is not None else None,
            nkey_seed=_secret(nkey_seed),
            user=user,
            password=_secret(password),
            token=_secret(token),
            tls=tls,
            connect_timeout_s=min(timeout_s, NatsConfig().connect_timeout_s),
        )
    except ValueError as error:
        raise ConfigError([str(error)]) from None
    async with Bus(config, name=name) as bus:
        await bus.session(timeout_s=timeout_s)
        yield Client(bus)


def _secret(value: Path | str | None) -> Secret | None:
    return Secret(value) if value is not None else None
