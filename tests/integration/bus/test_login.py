"""Proving who we are to NATS: every way logs in, or says why not, and heals by itself."""

from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig, Secret
from support.nats_login import Operator, reload, replace, user_key
from support.nats_refusals import (
    LOGIN_REFUSED,
    PATIENCE_S,
    RIGHT,
    USER,
    WRONG,
    Start,
    password_config,
    refusal,
    who,
    who_hears,
    why_not,
)
from support.waiting import within


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return tmp_path / "secret"


def token_config(token: str) -> str:
    return f'authorization {{ token: "{token}" }}'


def nkey_config(public: str) -> str:
    return f"authorization {{ users: [ {{ nkey: {public} }} ] }}"


# Every way to log in


async def test_user_and_password_log_in(start: Start) -> None:
    async with start(password_config(RIGHT)) as server:
        config = NatsConfig(url=server.url, user=USER, password=Secret(RIGHT))
        async with Bus(config, name="test") as bus:
            assert await who_hears(await bus.session(timeout_s=PATIENCE_S)) == USER


async def test_a_token_logs_in(start: Start) -> None:
    async with (
        start(token_config(RIGHT)) as server,
        Bus(NatsConfig(url=server.url, token=Secret(RIGHT)), name="test") as bus,
    ):
        await bus.session(timeout_s=PATIENCE_S)


async def test_an_nkey_seed_logs_in(start: Start) -> None:
    key = user_key()
    async with (
        start(nkey_config(key.public)) as server,
        Bus(NatsConfig(url=server.url, nkey_seed=Secret(key.seed)), name="test") as bus,
    ):
        assert await who_hears(await bus.session(timeout_s=PATIENCE_S)) == key.public


async def test_a_creds_file_logs_in(start: Start, secret: Path) -> None:
    operator, key = Operator(), user_key()
    secret.write_text(operator.creds(key))
    async with (
        start(operator.server_config()) as server,
        Bus(NatsConfig(url=server.url, credentials_file=str(secret)), name="test") as bus,
    ):
        assert await who_hears(await bus.session(timeout_s=PATIENCE_S)) == key.public


# What is refused is named, and never shows the secret


async def test_a_wrong_password_is_named_and_not_shown(start: Start) -> None:
    async with start(password_config(RIGHT)) as server:
        words = await why_not(NatsConfig(url=server.url, user=USER, password=Secret(WRONG)))

    assert LOGIN_REFUSED.search(words)
    assert WRONG not in words


async def test_a_wrong_token_is_named_and_not_shown(start: Start) -> None:
    async with start(token_config(RIGHT)) as server:
        words = await why_not(NatsConfig(url=server.url, token=Secret(WRONG)))

    assert LOGIN_REFUSED.search(words)
    assert WRONG not in words


async def test_a_seed_that_the_server_does_not_know_is_named_and_not_shown(start: Start) -> None:
    unknown = user_key()
    async with start(nkey_config(user_key().public)) as server:
        words = await why_not(NatsConfig(url=server.url, nkey_seed=Secret(unknown.seed)))

    assert LOGIN_REFUSED.search(words)
    assert unknown.seed not in words


async def test_the_creds_of_another_operator_are_named_and_not_shown(start: Start, secret: Path) -> None:
    secret.write_text(Operator().creds())
    async with start(Operator().server_config()) as server:
        words = await why_not(NatsConfig(url=server.url, credentials_file=str(secret)))

    assert LOGIN_REFUSED.search(words)
    assert not any(part in words for part in secret.read_text().split() if len(part) > 40)


async def test_no_login_where_one_is_demanded_is_named(start: Start) -> None:
    async with start(password_config(RIGHT)) as server:
        words = await why_not(NatsConfig(url=server.url))

    assert LOGIN_REFUSED.search(words)


@pytest.mark.parametrize("damaged", ["", "SU", f"SU{'A' * 56}", "not a seed at all", "SUÄÖÜ"])
async def test_a_malformed_seed_is_named_but_not_shown_and_works_once_fixed(
    start: Start, secret: Path, damaged: str
) -> None:
    key = user_key()
    secret.write_text(damaged)
    async with (
        start(nkey_config(key.public)) as server,
        Bus(NatsConfig(url=server.url, nkey_seed=Secret(secret)), name="test") as bus,
    ):
        words = await refusal(bus)
        replace(secret, key.seed)
        await bus.session(timeout_s=PATIENCE_S)

    assert "no answer" not in words
    assert len(damaged) < 3 or damaged not in words


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.95], ids=["empty", "begun", "half", "without_end"])
async def test_a_creds_file_half_written_is_named_and_read_again(start: Start, secret: Path, kept: float) -> None:
    operator = Operator()
    whole = operator.creds()
    seed_end = whole.index("------END USER NKEY SEED")
    secret.write_text(whole[: int(seed_end * kept)])
    async with (
        start(operator.server_config()) as server,
        Bus(NatsConfig(url=server.url, credentials_file=str(secret)), name="test") as bus,
    ):
        words = await refusal(bus)
        secret.write_text(whole)
        await bus.session(timeout_s=PATIENCE_S)

    assert "no answer" not in words


async def test_a_file_with_a_seed_only_is_not_taken_for_creds(start: Start, secret: Path) -> None:
    operator = Operator()
    whole = operator.creds()
    secret.write_text(whole[whole.index("-----BEGIN USER NKEY SEED") :])
    async with start(operator.server_config()) as server:
        words = await why_not(NatsConfig(url=server.url, credentials_file=str(secret)))

    assert str(secret) in words


# A file that is missing is named, and taken up when it comes


@pytest.mark.parametrize("way", ["password", "token", "nkey", "creds"])
async def test_a_missing_file_is_named_and_taken_up_when_it_comes(start: Start, secret: Path, way: str) -> None:
    key, operator = user_key(), Operator()
    server_config, content = {
        "password": (password_config(RIGHT), RIGHT),
        "token": (token_config(RIGHT), RIGHT),
        "nkey": (nkey_config(key.public), key.seed),
        "creds": (operator.server_config(), operator.creds()),
    }[way]
    async with start(server_config) as server:
        url = server.url
        config = {
            "password": NatsConfig(url=url, user=USER, password=Secret(secret)),
            "token": NatsConfig(url=url, token=Secret(secret)),
            "nkey": NatsConfig(url=url, nkey_seed=Secret(secret)),
            "creds": NatsConfig(url=url, credentials_file=str(secret)),
        }[way]
        async with Bus(config, name="test") as bus:
            words = await refusal(bus)
            replace(secret, content)
            await bus.session(timeout_s=PATIENCE_S)

    assert str(secret) in words


# Rotation


async def test_a_password_file_that_is_corrected_connects_by_itself(start: Start, secret: Path) -> None:
    secret.write_text(WRONG)
    async with start(password_config(RIGHT)) as server:
        config = NatsConfig(url=server.url, user=USER, password=Secret(secret))
        async with Bus(config, name="test") as bus:
            await refusal(bus)
            replace(secret, RIGHT + "\n")
            assert await who(await bus.session(timeout_s=PATIENCE_S)) == USER
            assert bus.last_error == ""


async def test_a_password_rotated_under_a_living_connection_is_taken_up(start: Start, secret: Path) -> None:
    secret.write_text(WRONG)
    async with start(password_config(WRONG)) as server:
        config = NatsConfig(url=server.url, user=USER, password=Secret(secret))
        async with Bus(config, name="test") as bus:
            first = await bus.session(timeout_s=PATIENCE_S)
            await reload(server, password_config(RIGHT))
            async with within(PATIENCE_S):
                await first.lost.wait()
            words = await refusal(bus, LOGIN_REFUSED)
            replace(secret, RIGHT)
            await bus.session(timeout_s=PATIENCE_S)

    assert LOGIN_REFUSED.search(words)
    assert WRONG not in words


async def test_creds_that_are_corrected_connect_by_themselves(start: Start, secret: Path) -> None:
    operator = Operator()
    secret.write_text(operator.creds(lives_s=-60))
    async with (
        start(operator.server_config()) as server,
        Bus(NatsConfig(url=server.url, credentials_file=str(secret)), name="test") as bus,
    ):
        await refusal(bus)
        replace(secret, operator.creds())
        await bus.session(timeout_s=PATIENCE_S)
