"""Faults of the collector's own access: no database is ever reported as down for them.

Each is an unread scope with its reason and a command to try, and leaves the health unknown; each ends with its cause.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from kgents_collector_db.mapping import pgbouncer, postgres, qdrant, redis
from kgents_collector_db.source.pgbouncer import PgbouncerSource
from kgents_collector_db.source.postgres import PostgresSource
from kgents_collector_db.source.qdrant import QdrantSource
from kgents_collector_db.source.redis import RedisSource
from kgents_collector_db.targets.pgbouncer import PgbouncerTarget
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_collector_db.targets.redis import RedisTarget
from kgents_shared.bus.config import Secret
from kgents_shared.contract.entity import Ref
from kgents_shared.runtime.clock import SystemClock
from support.certificates import Certificates
from support.db_polls import Polls
from support.pgbouncer_server import PgbouncerServer
from support.ports import free_port
from support.postgres_server import PASSWORD, PostgresServer
from support.proxy import Proxy
from support.qdrant_stub import QdrantStub
from support.redis_server import RedisServer
from support.tls_databases import pgbouncer_with_tls, redis_with_tls, require_certificates

CLOCK: Final = SystemClock()
SHORT: Final[dict[str, Any]] = {"connect_timeout_s": 2.0}
NOWHERE: Final = "no-such-host.invalid"
UNROUTED: Final = "255.255.255.255"
"""An address to which no machine has a route."""


class Pooler(Polls):
    """Polls of a PgBouncer."""

    @property
    def ref(self) -> Ref:
        return Ref("c1", "pooler", "cache")


class Site:
    """Starts what one case needs."""

    def __init__(self, stack: AsyncExitStack, directory: Path) -> None:
        self._stack = stack
        self._directory = directory
        self.certificates = Certificates(directory)

    async def postgres(self, *, tls: bool = False) -> PostgresServer:
        server = await self._stack.enter_async_context(PostgresServer(self._directory / "postgres", statements=False))
        if tls:
            await require_certificates(server, self.certificates)
        return server

    async def pgbouncer(self, *, tls: bool = False) -> PgbouncerServer:
        behind, directory = await self.postgres(), self._directory / "bouncer"
        made = pgbouncer_with_tls(directory, behind, self.certificates) if tls else PgbouncerServer(directory, behind)
        return await self._stack.enter_async_context(made)

    async def redis(self, *options: str, password: str = "") -> RedisServer:
        server = RedisServer(self._directory / "redis", *options, password=password)
        return await self._stack.enter_async_context(server)

    async def tls_redis(self) -> tuple[RedisServer, int]:
        return await self._stack.enter_async_context(redis_with_tls(self._directory / "tls", self.certificates))

    async def qdrant(self, **more: Any) -> QdrantStub:
        return await self._stack.enter_async_context(QdrantStub(**more))

    async def of_postgres(self, **settings: Any) -> Polls:
        target = PostgresTarget(**{"password": Secret(PASSWORD), "statement_timeout_s": 2, **SHORT, **settings})
        return await self._stack.enter_async_context(Polls(PostgresSource(target, CLOCK), postgres.observe))

    async def of_pgbouncer(self, **settings: Any) -> Polls:
        target = PgbouncerTarget(**{"password": Secret(PASSWORD), "timeout_s": 2, **SHORT, **settings})
        return await self._stack.enter_async_context(Pooler(PgbouncerSource(target, CLOCK), pgbouncer.observe))

    async def of_redis(self, **settings: Any) -> Polls:
        target = RedisTarget(**{"timeout_s": 2.0, **SHORT, **settings})
        return await self._stack.enter_async_context(Polls(RedisSource(target, CLOCK), redis.observe))

    async def of_qdrant(self, url: str, **settings: Any) -> Polls:
        target = QdrantTarget(url=url, timeout_s=2.0, **SHORT, **settings)
        return await self._stack.enter_async_context(Polls(QdrantSource(target, CLOCK), qdrant.observe))


Case = Callable[[Site], Awaitable[Polls]]


async def postgres_certificate(site: Site) -> Polls:
    return await site.of_postgres(port=(await site.postgres(tls=True)).port, tls="require")


async def postgres_foreign_certificate(site: Site) -> Polls:
    server = await site.postgres(tls=True)
    other = Certificates(_made(server.directory / "other"))
    files = {"tls_cert_file": str(other.client), "tls_key_file": str(other.client_key)}
    return await site.of_postgres(port=server.port, tls="require", **files)


async def postgres_foreign_server(site: Site) -> Polls:
    server = await site.postgres(tls=True)
    other = Certificates(_made(server.directory / "other"))
    return await site.of_postgres(port=server.port, tls="verify-full", tls_ca_file=str(other.ca))


async def postgres_no_tls(site: Site) -> Polls:
    return await site.of_postgres(port=(await site.postgres()).port, tls="require")


async def postgres_password(site: Site) -> Polls:
    return await site.of_postgres(port=(await site.postgres()).port, password=Secret("wrong"))


async def postgres_right(site: Site) -> Polls:
    server = await site.postgres()
    await server.sql("revoke connect on database postgres from public")
    return await site.of_postgres(port=server.port)


async def pgbouncer_certificate(site: Site) -> Polls:
    return await site.of_pgbouncer(port=(await site.pgbouncer(tls=True)).port, tls="require")


async def pgbouncer_no_tls(site: Site) -> Polls:
    return await site.of_pgbouncer(port=(await site.pgbouncer()).port, tls="require")


async def pgbouncer_password(site: Site) -> Polls:
    return await site.of_pgbouncer(port=(await site.pgbouncer()).port, password=Secret("wrong"))


async def redis_certificate(site: Site) -> Polls:
    return await site.of_redis(port=(await site.tls_redis())[1], tls="require")


async def redis_tls_only(site: Site) -> Polls:
    return await site.of_redis(port=(await site.tls_redis())[1])


async def redis_no_tls(site: Site) -> Polls:
    return await site.of_redis(port=(await site.redis()).port, tls="require")


async def redis_renamed(site: Site) -> Polls:
    return await site.of_redis(port=(await site.redis('rename-command INFO "hidden"')).port)


async def redis_disabled(site: Site) -> Polls:
    return await site.of_redis(port=(await site.redis('rename-command INFO ""')).port)


async def redis_right(site: Site) -> Polls:
    server = await site.redis("user watcher on >pw +@all -info")
    return await site.of_redis(port=server.port, user="watcher", password=Secret("pw"))


async def redis_password(site: Site) -> Polls:
    return await site.of_redis(port=(await site.redis(password="right")).port, password=Secret("wrong"))  # noqa: S106


async def qdrant_key(site: Site) -> Polls:
    return await site.of_qdrant((await site.qdrant(api_key="right")).url, api_key=Secret("wrong"))


async def qdrant_no_tls(site: Site) -> Polls:
    return await site.of_qdrant((await site.qdrant()).url.replace("http:", "https:"))


CASES: Final[dict[str, tuple[Case, str, str]]] = {
    "postgres, unknown name": (lambda site: site.of_postgres(host=NOWHERE), "unknown name", f"getent hosts {NOWHERE}"),
    "postgres, no route": (lambda site: site.of_postgres(host=UNROUTED), "own network", f"ip route get {UNROUTED}"),
    "postgres, certificate required": (postgres_certificate, "tls", "set tls_cert_file and tls_key_file"),
    "postgres, foreign certificate": (postgres_foreign_certificate, "tls", "does not trust our certificate"),
    "postgres, foreign server": (postgres_foreign_server, "tls", "certificate verify failed"),
    "postgres, no TLS": (postgres_no_tls, "tls", "openssl s_client -connect"),
    "postgres, wrong password": (postgres_password, "wrong credentials", "psql -h 127.0.0.1"),
    "postgres, missing right": (postgres_right, "missing privilege", "psql -h 127.0.0.1"),
    "pgbouncer, unknown name": (lambda site: site.of_pgbouncer(host=NOWHERE), "unknown name", "getent hosts"),
    "pgbouncer, no route": (lambda site: site.of_pgbouncer(host=UNROUTED), "own network", "ip route get"),
    "pgbouncer, certificate required": (pgbouncer_certificate, "tls", "set tls_cert_file and tls_key_file"),
    "pgbouncer, no TLS": (pgbouncer_no_tls, "tls", "openssl s_client -connect"),
    "pgbouncer, wrong password": (pgbouncer_password, "wrong credentials", "psql -h 127.0.0.1"),
    "redis, unknown name": (lambda site: site.of_redis(host=NOWHERE), "unknown name", f"getent hosts {NOWHERE}"),
    "redis, no route": (lambda site: site.of_redis(host=UNROUTED), "own network", f"ip route get {UNROUTED}"),
    "redis, certificate required": (redis_certificate, "tls", "set tls_cert_file and tls_key_file"),
    "redis, TLS only": (redis_tls_only, "tls", "speaks TLS only; try: openssl s_client -connect"),
    "redis, no TLS": (redis_no_tls, "tls", "speaks none on this port; try: openssl s_client -connect"),
    "redis, INFO renamed": (redis_renamed, "missing privilege", "info server"),
    "redis, INFO disabled": (redis_disabled, "missing privilege", "info server"),
    "redis, INFO forbidden": (redis_right, "missing privilege", "ACL SETUSER"),
    "redis, wrong password": (redis_password, "wrong credentials", "redis-cli -h 127.0.0.1"),
    "qdrant, unknown name": (lambda site: site.of_qdrant(f"http://{NOWHERE}:6333"), "unknown name", "getent hosts"),
    "qdrant, no route": (lambda site: site.of_qdrant(f"http://{UNROUTED}:6333"), "own network", "ip route get"),
    "qdrant, no TLS": (qdrant_no_tls, "tls", "curl -v https://127.0.0.1"),
    "qdrant, wrong key": (qdrant_key, "wrong credentials", "curl -H"),
}
"""What is wrong → how to set it up, its cause, a part of its text."""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(stack, tmp_path)


@pytest.mark.parametrize("case", CASES)
async def test_own_fault_is_an_unread_scope_and_no_failure_of_the_database(case: str, site: Site) -> None:
    set_up, cause, words = CASES[case]
    polls = await set_up(site)
    first = await polls.poll()
    (unread,) = first.facts.unread  # nothing was ever read
    polled = await polls.repeat(3)
    assert polled.phase == ("degraded", cause)
    assert (polled.entity.status, polled.entity.reason) == ("unknown", cause)
    assert polled.health.level == "unknown"
    assert (
        [each.reason for each in polled.facts.unread] == [unread.reason] == [f"cache: {polled.sample.unreachable.text}"]
    )
    assert words in unread.reason
    assert "; try: " in unread.reason
    assert unread.covers(polled.entity.ref)


BACKENDS: Final = ("postgres", "pgbouncer", "redis", "qdrant")


async def of_backend(site: Site, backend: str, port: int) -> Polls:
    match backend:
        case "postgres":
            return await site.of_postgres(port=port)
        case "pgbouncer":
            return await site.of_pgbouncer(port=port)
        case "redis":
            return await site.of_redis(port=port)
        case _:
            return await site.of_qdrant(f"http://127.0.0.1:{port}")


async def port_of(site: Site, backend: str) -> int:
    match backend:
        case "postgres":
            return (await site.postgres()).port
        case "pgbouncer":
            return (await site.pgbouncer()).port
        case "redis":
            return (await site.redis()).port
        case _:
            return (await site.qdrant()).port


@pytest.mark.parametrize("backend", BACKENDS)
async def test_server_that_closes_connections_is_down_only_if_it_ever_answered(backend: str, site: Site) -> None:
    """Before the server is a proxy, as before each published port of a container: it accepts, and then closes."""
    async with Proxy(await port_of(site, backend)) as proxy:
        port = int(proxy.url.rsplit(":", 1)[1])
        proxy.refuse()
        stranger = await of_backend(site, backend, port)
        never = await stranger.repeat(3)
        assert never.phase == ("degraded", "unreadable")
        assert never.health.level == "unknown"
        assert len(never.facts.unread) == 1
        proxy.flow()
        known = await of_backend(site, backend, port)
        assert (await known.repeat(2)).health.level == "healthy"
        proxy.refuse()
        crashed = await known.repeat(3)
        assert crashed.pulse.phase == "failing"
        assert crashed.health.level == "critical"
        assert not crashed.facts.unread


@pytest.mark.parametrize("backend", BACKENDS)
async def test_server_that_refuses_connections_is_down_and_not_unread(backend: str, site: Site) -> None:
    polled = await (await of_backend(site, backend, free_port())).repeat(3)
    assert polled.phase == ("failing", "refused")
    assert polled.health.level == "critical"
    assert not polled.facts.unread


async def test_own_fault_keeps_what_was_read_for_one_poll_and_ends_with_its_cause(site: Site) -> None:
    server = await site.redis("user watcher on >pw +@all")
    polls = await site.of_redis(port=server.port, user="watcher", password=Secret("pw"))
    before = await polls.repeat(2)
    server.cli("acl", "setuser", "watcher", "-info")
    once = await polls.poll()
    assert not once.facts.unread
    assert once.entity_bytes == before.entity_bytes
    twice = await polls.poll()
    assert len(twice.facts.unread) == 1
    assert twice.health.level == "unknown"
    server.cli("acl", "setuser", "watcher", "+info")
    after = await polls.poll()
    assert not after.facts.unread
    assert after.entity_bytes == before.entity_bytes
    assert (await polls.poll()).health.level == "healthy"


async def test_postgres_that_requires_a_certificate_is_read_with_ours(site: Site) -> None:
    server, own = await site.postgres(tls=True), site.certificates
    files = {"tls_cert_file": str(own.client), "tls_key_file": str(own.client_key)}
    for more in ({"tls": "require"}, {"tls": "verify-full", "tls_ca_file": str(own.ca)}):
        polls = await site.of_postgres(port=server.port, **files, **more)
        assert (await polls.repeat(2)).phase == ("healthy", "")
    with_tls = "select count(*) from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'kgents' and ssl"
    assert await server.value(with_tls) == await server.value(with_tls.removesuffix(" and ssl")) >= 2


async def test_redis_that_requires_a_certificate_is_read_with_ours(site: Site) -> None:
    (_, port), own = await site.tls_redis(), site.certificates
    files = {"tls_cert_file": str(own.client), "tls_key_file": str(own.client_key)}
    for more in ({"tls": "require"}, {"tls": "verify-full", "tls_ca_file": str(own.ca)}):
        polls = await site.of_redis(port=port, **files, **more)
        assert (await polls.repeat(2)).phase == ("healthy", "")


async def test_pgbouncer_that_requires_a_certificate_is_read_with_ours(site: Site) -> None:
    server, own = await site.pgbouncer(tls=True), site.certificates
    files = {"tls_cert_file": str(own.client), "tls_key_file": str(own.client_key), "tls_ca_file": str(own.ca)}
    polls = await site.of_pgbouncer(port=server.port, tls="verify-full", **files)
    assert (await polls.repeat(2)).phase == ("healthy", "")


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
