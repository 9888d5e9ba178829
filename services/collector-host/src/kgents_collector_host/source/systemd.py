"""The services of systemd over D-Bus.

Each property is asked for by its name: all of them would hold environments and arguments, which anyone may read there.
"""

from collections.abc import Sequence
from typing import Any, Final

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusError

from kgents_collector_host.place import is_passing
from kgents_collector_host.sample import Unit
from kgents_collector_host.source.files import Root
from kgents_shared.bus.deadline import Deadline
from kgents_shared.runtime.clock import Clock

ANSWER_S: Final = 2.0
DETAILS_S: Final = 30.0
"""After so long the properties of a unit are read again even if its state is the same: it may have been restarted."""
MOST: Final = 400

_SOCKET: Final = "/run/dbus/system_bus_socket"
_NAME: Final = "org.freedesktop.systemd1"
_MANAGER: Final = "/org/freedesktop/systemd1"
_STATES: Final = ("active", "reloading", "failed", "activating", "deactivating")
_PROPERTIES: Final = ("Result", "ExecMainStatus", "NRestarts", "ControlGroup")


class Systemd:
    """One connection to the system bus, made again whenever it fails."""

    def __init__(self, root: Root, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._bus: MessageBus | None = None
        self._known: dict[str, tuple[float, Unit]] = {}

    async def read(self) -> tuple[Unit, ...] | str | None:
        """The services that run, start, stop or have failed; why they cannot be read; None: there is no systemd."""
        if self._bus is None and self._root.inode(_SOCKET) is None:
            return None
        try:
            async with Deadline(ANSWER_S):
                return await self._read()
        except (DBusError, OSError, EOFError, TimeoutError) as error:
            self.close()
            return f"systemd does not answer over D-Bus ({type(error).__name__}); try: systemctl status dbus"

    def close(self) -> None:
        """Disconnect."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.disconnect()

    async def _read(self) -> tuple[Unit, ...]:
        if self._bus is None:
            self._bus = await MessageBus(bus_address=f"unix:path={self._root.path(_SOCKET)}").connect()
        (listed,) = await self._call(
            _MANAGER, f"{_NAME}.Manager", "ListUnitsByPatterns", "asas", [list(_STATES), ["*.service"]]
        )
        now_s = self._clock.monotonic_s()
        found: dict[str, tuple[float, Unit]] = {}
        for name, _, loaded, state, sub_state, _, path, *_ in listed:
            if loaded == "loaded" and not is_passing(name) and len(found) < MOST:
                read_s, known = self._known.get(name, (0.0, None))
                if known is None or (known.state, known.sub_state) != (state, sub_state) or now_s - read_s >= DETAILS_S:
                    known, read_s = await self._unit(name, state, sub_state, path), now_s
                found[name] = read_s, known
        self._known = found
        return tuple(each for _, each in found.values())

    async def _unit(self, name: str, state: str, sub_state: str, path: str) -> Unit:
        result, status, restarts, group = [await self._property(path, each) for each in _PROPERTIES]
        return Unit(name, state, sub_state, str(result), int(status), int(restarts), str(group))

    async def _property(self, path: str, name: str) -> Any:
        body = [f"{_NAME}.Service", name]
        (value,) = await self._call(path, "org.freedesktop.DBus.Properties", "Get", "ss", body)
        return value.value

    async def _call(self, path: str, interface: str, member: str, signature: str, body: Sequence[Any]) -> list[Any]:
        if self._bus is None:
            raise EOFError
        request = Message(
            destination=_NAME, path=path, interface=interface, member=member, signature=signature, body=list(body)
        )
        reply = await self._bus.call(request)
        if reply.message_type is MessageType.ERROR:
            raise DBusError(reply.error_name or "unknown", member)
        return list(reply.body)
