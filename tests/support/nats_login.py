"""Keys, JWTs and `.creds` files as an operator's tools write them, and a server that reloads its configuration."""

import base64
import json
import os
import secrets
import signal
import time
from pathlib import Path

import nkeys  # type: ignore[import-untyped]

from support.nats_server import NatsServer
from support.waiting import eventually

UNLIMITED = -1


class Key:
    """An NKey pair of one kind: `Key(nkeys.PREFIX_BYTE_USER)`."""

    def __init__(self, prefix: int) -> None:
        self._seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), prefix)

    @property
    def seed(self) -> str:
        return self._seed.decode()

    @property
    def public(self) -> str:
        public: bytes = nkeys.from_seed(self._seed).public_key
        return public.decode()

    def sign(self, text: str) -> bytes:
        signature: bytes = nkeys.from_seed(self._seed).sign(text.encode())
        return signature


def user_key() -> Key:
    return Key(nkeys.PREFIX_BYTE_USER)


def make_jwt(issuer: Key, subject: Key, name: str, claims: dict[str, object], *, lives_s: float | None = None) -> str:
    """A NATS JWT; `lives_s` from now on, in whole seconds, None means no expiry."""
    now = int(time.time())
    body: dict[str, object] = {
        "jti": secrets.token_hex(16),
        "iat": now,
        "iss": issuer.public,
        "name": name,
        "sub": subject.public,
        "nats": {"version": 2, **claims},
    }
    if lives_s is not None:
        body["exp"] = now + round(lives_s)
    signed = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(body)}"
    return f"{signed}.{_base64(issuer.sign(signed))}"


class Operator:
    """An operator with one account of ours, which has JetStream, and the system account that JetStream asks for."""

    def __init__(self) -> None:
        self._key = Key(nkeys.PREFIX_BYTE_OPERATOR)
        self._account = Key(nkeys.PREFIX_BYTE_ACCOUNT)
        self._system = Key(nkeys.PREFIX_BYTE_ACCOUNT)

    def server_config(self) -> str:
        """The server's part: whom to trust, and both accounts in the memory resolver."""
        operator = make_jwt(self._key, self._key, "operator", {"type": "operator"})
        accounts = {
            self._account.public: self._account_jwt(self._account, "kgents", storage_bytes=UNLIMITED),
            self._system.public: self._account_jwt(self._system, "system", storage_bytes=0),
        }
        preload = "\n".join(f"  {public}: {jwt}" for public, jwt in accounts.items())
        return (
            f"operator: {operator}\nsystem_account: {self._system.public}\n"
            f"resolver: MEMORY\nresolver_preload: {{\n{preload}\n}}\n"
        )

    def creds(self, user: Key | None = None, *, lives_s: float | None = None) -> str:
        """The `.creds` file of a user, a new one unless given."""
        user = user or user_key()
        claims: dict[str, object] = {
            "type": "user",
            "pub": {},
            "sub": {},
            "subs": UNLIMITED,
            "data": UNLIMITED,
            "payload": UNLIMITED,
        }
        jwt = make_jwt(self._account, user, "user", claims, lives_s=lives_s)
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )

    def _account_jwt(self, account: Key, name: str, *, storage_bytes: int) -> str:
        unlimited = ("subs", "data", "payload", "imports", "exports", "conn", "leaf", "streams", "consumer")
        limits: dict[str, object] = {
            **dict.fromkeys(unlimited, UNLIMITED),
            "wildcards": True,
            "mem_storage": storage_bytes,
            "disk_storage": storage_bytes,
        }
        claims: dict[str, object] = {"type": "account", "limits": limits, "default_permissions": {"pub": {}, "sub": {}}}
        return make_jwt(self._key, account, name, claims)


async def reload(server: NatsServer, config: str) -> None:
    """The server goes on with another configuration: what an operator does with `nats-server --signal reload`."""
    done = server.log.read_text().count("Reloaded server configuration")
    file = server.directory / "nats.conf"
    file.write_text(file.read_text().removesuffix(f"{server._config}\n") + f"{config}\n")  # a reload may not move ports
    server._config = config
    os.kill(server.pid, signal.SIGHUP)

    def is_reloaded() -> bool:
        text = server.log.read_text()
        assert "Failed to reload" not in text, text
        return text.count("Reloaded server configuration") > done

    await eventually(is_reloaded)


def replace(file: Path, content: str) -> None:
    """As secrets are rotated: written aside and moved into place."""
    aside = file.with_name(f"{file.name}.new")
    aside.write_text(content)
    aside.replace(file)


def _part(content: object) -> str:
    return _base64(json.dumps(content, separators=(",", ":")).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
