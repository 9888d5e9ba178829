"""TLS with NATS: who proves what to whom, what is named if it does not fit, and how that heals."""

from pathlib import Path

import msgspec
import pytest
import trustme

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig, TlsConfig
from support.certificates import Certificates
from support.nats_login import replace
from support.nats_refusals import PATIENCE_S, Start, refusal, why_not
from support.waiting import eventually


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


async def test_tls_with_a_private_authority_connects(start: Start, certificates: Certificates) -> None:
    async with start(certificates.server_config()) as server:
        config = NatsConfig(url=server.url, tls=TlsConfig(ca_file=str(certificates.ca)))
        async with Bus(config, name="test") as bus:
            session = await bus.session(timeout_s=PATIENCE_S)
            await session.request("$SYS.REQ.USER.INFO")


async def test_tls_that_begins_before_the_servers_first_line_connects(start: Start, certificates: Certificates) -> None:
    async with start(certificates.server_config("handshake_first: true")) as server:
        tls = TlsConfig(ca_file=str(certificates.ca), handshake_first=True)
        async with Bus(NatsConfig(url=server.url, tls=tls), name="test") as bus:
            session = await bus.session(timeout_s=PATIENCE_S)
            await session.request("$SYS.REQ.USER.INFO")


async def test_a_client_certificate_connects_where_one_is_demanded(start: Start, certificates: Certificates) -> None:
    async with start(certificates.server_config("verify: true")) as server:
        tls = TlsConfig(
            ca_file=str(certificates.ca), cert_file=str(certificates.client), key_file=str(certificates.client_key)
        )
        async with Bus(NatsConfig(url=server.url, tls=tls), name="test") as bus:
            session = await bus.session(timeout_s=PATIENCE_S)
            await session.request("$SYS.REQ.USER.INFO")


async def test_a_server_that_demands_tls_gets_it_unasked(start: Start, certificates: Certificates) -> None:
    async with start(certificates.server_config()) as server:
        words = await why_not(NatsConfig(url=server.url))

    assert "certificate verify failed" in words.lower()  # its authority is private, and none is configured


async def test_a_certificate_of_an_unknown_authority_is_named_and_works_once_fixed(
    start: Start, certificates: Certificates, tmp_path: Path
) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(trustme.CA().cert_pem.bytes())
    async with start(certificates.server_config()) as server:
        config = NatsConfig(url=server.url, tls=TlsConfig(ca_file=str(trusted)))
        async with Bus(config, name="test") as bus:
            words = await refusal(bus)
            replace(trusted, certificates.ca.read_text())
            await bus.session(timeout_s=PATIENCE_S)

    assert "certificate verify failed" in words.lower()


async def test_a_certificate_for_another_host_is_named(start: Start, certificates: Certificates) -> None:
    certificates.issue("server", "elsewhere.test")
    async with start(certificates.server_config()) as server:
        words = await why_not(NatsConfig(url=server.url, tls=TlsConfig(ca_file=str(certificates.ca))))

    assert "certificate is not valid for '127.0.0.1'" in words


async def test_no_client_certificate_where_one_is_demanded_is_no_session(
    start: Start, certificates: Certificates
) -> None:
    async with start(certificates.server_config("verify: true")) as server:
        words = await why_not(NatsConfig(url=server.url, tls=TlsConfig(ca_file=str(certificates.ca))))

    assert words  # TLS 1.3 reports it after the handshake: an alert that names the certificate, or just an end


async def test_a_client_certificate_that_is_corrected_connects_by_itself(
    start: Start, certificates: Certificates
) -> None:
    certificate, key = certificates.issue("mine", "client@kgents.test", trustme.CA())
    async with start(certificates.server_config("verify: true")) as server:
        tls = TlsConfig(ca_file=str(certificates.ca), cert_file=str(certificate), key_file=str(key))
        async with Bus(NatsConfig(url=server.url, tls=tls), name="test") as bus:
            # Where the server's reset overtakes its alert, that attempt cannot know why it was refused.
            await eventually(lambda: "unknown ca" in bus.last_error.lower() or "certificate" in bus.last_error.lower())
            certificates.issue("mine", "client@kgents.test")
            await bus.session(timeout_s=PATIENCE_S)


@pytest.mark.parametrize("missing", ["ca_file", "cert_file", "key_file"])
async def test_a_missing_tls_file_is_named_and_taken_up_when_it_comes(
    start: Start, certificates: Certificates, missing: str
) -> None:
    files = {"ca_file": certificates.ca, "cert_file": certificates.client, "key_file": certificates.client_key}
    async with start(certificates.server_config("verify: true")) as server:
        content = files[missing].read_text()
        files[missing].unlink()
        tls = msgspec.convert({name: str(path) for name, path in files.items()}, TlsConfig)
        async with Bus(NatsConfig(url=server.url, tls=tls), name="test") as bus:
            words = await refusal(bus)
            replace(files[missing], content)
            await bus.session(timeout_s=PATIENCE_S)

    assert str(files[missing]) in words


@pytest.mark.parametrize("damaged", ["ca_file", "cert_file", "key_file"])
async def test_a_damaged_tls_file_is_named_and_works_once_fixed(
    start: Start, certificates: Certificates, damaged: str
) -> None:
    files = {"ca_file": certificates.ca, "cert_file": certificates.client, "key_file": certificates.client_key}
    async with start(certificates.server_config("verify: true")) as server:
        content = files[damaged].read_text()
        files[damaged].write_text(content[: len(content) // 2])
        tls = msgspec.convert({name: str(path) for name, path in files.items()}, TlsConfig)
        async with Bus(NatsConfig(url=server.url, tls=tls), name="test") as bus:
            words = await refusal(bus)
            replace(files[damaged], content)
            await bus.session(timeout_s=PATIENCE_S)

    assert str(files[damaged]) in words


async def test_a_server_that_speaks_tls_first_to_a_client_that_does_not_is_an_error(
    start: Start, certificates: Certificates
) -> None:
    async with start(certificates.server_config("handshake_first: true")) as server:
        tls = TlsConfig(ca_file=str(certificates.ca))
        config = NatsConfig(url=server.url, tls=tls, connect_timeout_s=1.0)
        words = await why_not(config)

    assert "nats.tls.handshake_first" in words
