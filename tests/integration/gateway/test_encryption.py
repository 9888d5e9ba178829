"""TLS of the gateway's own: answers, streams, a login, and certificates that are replaced while it runs."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from kgents_gateway.config import AuthConfig, Config, TlsConfig, is_readable_on_the_way
from kgents_gateway.encryption import Encryption
from kgents_shared.bus.client import Bus
from kgents_shared.contract.tokens import Token, digest_of
from support.certificates import Certificates
from support.gateway import reading, serving
from support.state import make_topology, publish
from support.waiting import eventually


@pytest.fixture
def issued(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def trusting(issued: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(issued.ca))


def files(issued: Certificates) -> TlsConfig:
    return TlsConfig(cert_file=str(issued.server), key_file=str(issued.server_key))


async def serial(address: str, context: ssl.SSLContext) -> str:
    """Of the certificate that a new connection is shown."""
    url = httpx.URL(address)
    _, writer = await asyncio.open_connection(url.host, url.port, ssl=context)
    found: Any = writer.get_extra_info("peercert")
    writer.close()
    return str(found["serialNumber"])


async def test_answers_streams_and_logins_are_encrypted_and_nothing_else_is_spoken(
    bus: Bus, issued: Certificates, tmp_path: Path
) -> None:
    await publish(bus, make_topology("cart"))
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{Token('all', digest_of('all'))}\n")
    async with serving(bus, tls=files(issued), verify=trusting(issued), tokens_file=tokens) as gateway:
        assert gateway.server.address.startswith("https://")
        client = gateway.client
        done = await client.post("/login", data={"token": "all"}, headers={"origin": gateway.server.address})
        assert done.headers["set-cookie"].startswith("__Host-kgents=all; HttpOnly; SameSite=Lax; Path=/; Secure")
        assert (await gateway.get("/api/v1/entities"))["count"] == 1
        async with reading(gateway) as reader:
            await publish(bus, make_topology("till"))
            await eventually(lambda: len(reader.state) == 2)
            assert gateway.gateway.connections.waiting_bytes >= 0
        plain = gateway.server.address.replace("https", "http")
        async with httpx.AsyncClient(base_url=plain) as other:
            with pytest.raises(httpx.TransportError):
                await other.get("/api/v1/health")


async def test_a_certificate_that_is_replaced_is_shown_to_the_next_connection_and_no_open_one_ends(
    bus: Bus, issued: Certificates
) -> None:
    context = trusting(issued)
    async with serving(bus, tls=files(issued), verify=context) as gateway, reading(gateway) as reader:
        first = await serial(gateway.server.address, context)
        key = issued.server_key.read_bytes()
        other, other_key = issued.issue("other", "127.0.0.1")
        issued.server.write_bytes(other.read_bytes())  # and not its key yet

        async def is_replaced() -> bool:
            return await serial(gateway.server.address, context) != first

        await asyncio.sleep(0)
        for _ in range(3):
            assert not await is_replaced()
        issued.server_key.write_bytes(b"no key")
        issued.server_key.write_bytes(other_key.read_bytes())
        await eventually(is_replaced)
        assert issued.server_key.read_bytes() != key
        await publish(bus, make_topology("cart"))
        await eventually(lambda: len(reader.state) == 1)
        assert "bye" not in reader.names


async def test_files_that_are_no_pair_are_a_fault_and_the_last_ones_are_used(issued: Certificates) -> None:
    encryption = Encryption(files(issued))
    for content, why in ((b"", "no pem"), (issued.issue("other", "127.0.0.1")[0].read_bytes(), "key values mismatch")):
        issued.server.write_bytes(content)
        await encryption.refresh()
        assert f"found: {why}; the last ones are used" in encryption.fault
    issued.server.unlink()
    await encryption.refresh()
    assert "no such file" in encryption.fault
    issued.issue("server", "127.0.0.1")
    await encryption.refresh()
    assert encryption.fault == ""


def test_beyond_loopback_it_is_noticed_when_nothing_encrypts(issued: Certificates, tmp_path: Path) -> None:
    auth = AuthConfig(tokens_file=str(tmp_path / "tokens"))
    assert is_readable_on_the_way(Config(host="0.0.0.0", auth=auth))  # noqa: S104
    for sound in ({"tls": files(issued)}, {"public_url": "https://see.example"}, {"host": "127.0.0.1"}):
        given: dict[str, Any] = {"host": "0.0.0.0", "auth": auth, **sound}  # noqa: S104
        assert not is_readable_on_the_way(Config(**given))
