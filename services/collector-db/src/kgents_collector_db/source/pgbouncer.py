"""A PgBouncer → PgbouncerSample, through its admin console: one connection, SHOW commands only."""

import asyncio
import errno
import ssl
import struct
from collections.abc import Collection
from typing import Any, Final

import msgspec

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.pgbouncer.sample import Fronted, PgbouncerSample, Pooled, Totals
from kgents_collector_db.source import Tier
from kgents_collector_db.source.dialling import is_refused, of_this_machine, of_tls, tls_context
from kgents_collector_db.source.names import resolved_within
from kgents_collector_db.source.pgwire import ProtocolError, RefusedError, Row, SimpleConnection, tls_alert
from kgents_collector_db.targets.pgbouncer import PgbouncerTarget
from kgents_shared.bus.deadline import Deadline
from kgents_shared.runtime.clock import Clock

CONSOLE: Final = "pgbouncer"


class SecretError(Exception):
    """The password file cannot be read."""


FAILURES: Final = (
    OSError, EOFError, ProtocolError, RefusedError, SecretError,
    ValueError, LookupError, struct.error, msgspec.MsgspecError,
)  # fmt: skip
"""What a poll may raise; the second line if another program than PgBouncer answers."""


class PgbouncerSource:
    """One PgBouncer."""

    def __init__(self, target: PgbouncerTarget, clock: Clock) -> None:
        self._target = target
        self._clock = clock
        self._connection: SimpleConnection | None = None
        self._queries = 0

    async def read(self, tiers: Collection[Tier]) -> PgbouncerSample:
        """Poll every section, whatever the tiers: all are cheap."""
        started_s, self._queries = self._clock.monotonic_s(), 0
        try:
            try:
                sections = await self._sections()
            except (OSError, EOFError) as error:
                if self._connection is None or isinstance(error, TimeoutError):
                    raise
                self._drop()  # lost since the last poll: the server may have restarted
                sections = await self._sections()
        except FAILURES as error:
            self._drop()
            if isinstance(error, ConnectionError | EOFError):
                error = await tls_alert(self._target) or error
            sections = {"unreachable": _unreachable(error, self._target)}
        return PgbouncerSample(
            at=self._clock.now(),
            at_s=self._clock.monotonic_s(),
            address=self._target.address,
            connections=int(self._connection is not None),
            queries=self._queries,
            poll_s=self._clock.monotonic_s() - started_s,
            **sections,
        )

    async def aclose(self) -> None:
        """Close the connection."""
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.drop()
            self._connection = None

    async def _sections(self) -> dict[str, Any]:
        if self._connection is None:
            self._connection = await self._login()
        (version,) = await self._ask("SHOW VERSION")
        stats = await self._ask("SHOW STATS")
        config = {row["key"]: row["value"] for row in await self._ask("SHOW CONFIG")}
        totals = {name: sum(int(row.get(name) or 0) for row in stats) for name in Totals.__struct_fields__}
        return {
            "version": (version.get("version") or "").removeprefix("PgBouncer ").partition(" ")[0],
            "pools": msgspec.convert(await self._ask("SHOW POOLS"), tuple[Pooled, ...], strict=False),
            "databases": msgspec.convert(await self._ask("SHOW DATABASES"), tuple[Fronted, ...], strict=False),
            "totals": Totals(**totals),
            "max_clients": int(config.get("max_client_conn") or 0) or None,
        }

    async def _ask(self, command: str) -> list[Row]:
        if self._connection is None:
            raise ConnectionResetError
        self._queries += 1
        async with Deadline(self._target.timeout_s):
            return await self._connection.query(command)

    async def _login(self) -> SimpleConnection:
        target = self._target
        try:
            password = await asyncio.to_thread(target.password.reveal) if target.password is not None else ""
        except OSError as error:
            raise SecretError(str(error)) from None
        await resolved_within(target.host, target.connect_timeout_s)
        try:
            async with Deadline(target.connect_timeout_s):
                connection = await SimpleConnection.open(target.host, target.port)
        except TimeoutError:  # no connection yet, so the server is not known to be frozen
            raise OSError(errno.EHOSTUNREACH, "no answer at all") from None
        async with Deadline(target.connect_timeout_s):
            try:
                if target.tls != "disable" and not target.host.startswith("/"):
                    if await connection.offers_tls():
                        await connection.start_tls(tls_context(target), target.host)
                    elif target.tls != "prefer":
                        raise ssl.SSLError(0, "that the server does not speak it")  # noqa: TRY301 - closed below
                await connection.login(target.user, password, CONSOLE)
            except BaseException:
                connection.drop()
                raise
        return connection


def _unreachable(error: Exception, target: PgbouncerTarget) -> Unreachable:
    where = target.address
    if (ours := of_this_machine(error, target.host, where)) is not None:
        return ours
    match error:
        case RefusedError():
            return _refusal(error, target)
        case TimeoutError():
            phase, cause = "failing", "frozen"
            text = f"an answer from {where} in time, found none; check whether it hangs, and the network"
        case ssl.SSLError():
            return of_tls(error, target)
        case SecretError():
            phase, cause, text = "degraded", "wrong credentials", f"a readable password, found: {error}"
        case OSError() if not is_refused(error) and not isinstance(error, ConnectionError | FileNotFoundError):
            phase, cause = "failing", "unreachable"
            text = f"to reach {where}, found {error.strerror or type(error).__name__}; check the network, and DNS"
        case _:
            text = f"expected a PgBouncer at {where}, found none; start it, or correct host and port"
            is_absent = isinstance(error, OSError) and (is_refused(error) or isinstance(error, FileNotFoundError))
            return Unreachable("failing", "refused", text, closes=not is_absent)
    return Unreachable(phase, cause, f"expected {text}")


def _refusal(error: RefusedError, target: PgbouncerTarget) -> Unreachable:
    """By PgBouncer's message, which is always English: it has few SQLSTATEs."""
    where = target.address
    if "no more connections allowed" in error.text:
        text = f"expected room for a client at {where}, found max_client_conn used up; find who holds them, or raise it"
        return Unreachable("overloaded", "saturated", text)
    if "not allowed" in error.text or "admin access needed" in error.text:
        text = f"expected that {target.user} may use the console of {where}, found not; name it in stats_users"
        return Unreachable("degraded", "missing privilege", text)
    if error.sqlstate == "3D000":  # PostgreSQL itself: it has no such database
        text = f"expected PgBouncer's console at {where}, found PostgreSQL; try: name it as a target of `postgres`"
        return Unreachable("degraded", "unreadable", text)
    if "shutting down" in error.text:
        return Unreachable("failing", "refused", f"expected a running PgBouncer at {where}, found it shutting down")
    text = f"expected to log in at {where} as {target.user}, found the login refused; check user, password and "
    text += f"auth_file; try: psql -h {target.host} -p {target.port} -U {target.user} {CONSOLE}"
    return Unreachable("degraded", "wrong credentials", text)
