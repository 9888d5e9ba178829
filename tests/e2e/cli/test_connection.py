"""A command that gets no connection names the cause, and `kgents up` only where no server runs."""

from pathlib import Path

import pytest

from support.certificates import Certificates
from support.kgents_command import run_kgents
from support.nats_server import NatsServer
from support.ports import free_port
from support.waiting import MACHINE

UP = "`kgents up`"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGENTS__NATS__CONNECT_TIMEOUT_S", f"{MACHINE.limit_s(1):.1f}")


async def refusal(url: str) -> str:
    code, out, err = await run_kgents("topology", "--nats", url)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    return err


async def test_a_server_that_does_not_run_is_started_with_up() -> None:
    words = await refusal(f"nats://127.0.0.1:{free_port()}")
    assert words.startswith("kgents: no NATS server at nats://127.0.0.1:")
    assert UP in words


async def test_a_wrong_password_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGENTS__NATS__USER", "kgents")
    monkeypatch.setenv("KGENTS__NATS__PASSWORD", "hunter2-hunter2")
    async with NatsServer(tmp_path, config='authorization { user: kgents, password: "right" }') as server:
        words = await refusal(server.url)
    assert "try: check nats.user and nats.password" in words or "check the credentials" in words
    assert "hunter2" not in words
    assert UP not in words


async def test_a_missing_password_is_named(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, config='authorization { user: kgents, password: "right" }') as server:
        words = await refusal(server.url)
    assert "the server demands a login" in words or "check the credentials" in words
    assert UP not in words


async def test_a_missing_credentials_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "kgents.creds"
    monkeypatch.setenv("KGENTS__NATS__CREDENTIALS_FILE", str(missing))
    async with NatsServer(tmp_path / "nats") as server:
        code, out, err = await run_kgents("topology", "--nats", server.url)
    assert (code, out) == (78, "")  # a fault of the configuration, found before the connection
    assert (
        f"nats.credentials_file: expected a readable file with a JWT and a seed, as `nsc` writes it, found {missing}:"
        in err
    )
    assert UP not in err


async def test_credentials_of_which_a_part_is_missing_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "kgents.creds"
    damaged.write_text("-----BEGIN NATS USER JWT-----\n")
    monkeypatch.setenv("KGENTS__NATS__CREDENTIALS_FILE", str(damaged))
    async with NatsServer(tmp_path / "nats") as server:
        words = await refusal(server.url)
    assert f"expected a whole user JWT and seed in {damaged}" in words
    assert UP not in words


async def test_a_server_without_tls_is_named(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        words = await refusal(server.url.replace("nats://", "tls://"))
    assert "expected a server with TLS, found one that offers none" in words
    assert UP not in words


async def test_a_certificate_that_is_not_trusted_is_named(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats", config=Certificates(tmp_path).server_config()) as server:
        words = await refusal(server.url)
    assert "certificate verify failed" in words
    assert "try: nats.tls.ca_file" in words
    assert UP not in words


async def test_a_server_without_jetstream_is_named(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, jetstream=False) as server:
        words = await refusal(server.url)
    assert "expected JetStream" in words
    assert UP not in words


async def test_a_server_that_only_listens_is_named(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        words = await refusal(server.monitor_url.replace("http://", "nats://"))
    assert "expected the first line of a NATS server" in words
    assert UP not in words


async def test_a_dead_server_first_in_the_list_is_no_obstacle(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        urls = f"nats://127.0.0.1:{free_port()},{server.url}"
        assert (await run_kgents("provision", "--nats", urls)).code == 0
        code, _, err = await run_kgents("topology", "--nats", urls)
    assert code == 0
    assert "NATS" not in err
