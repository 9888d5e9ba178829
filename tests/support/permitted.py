"""A server whose users have exactly the permissions that `kgents permissions` prints, and which of them were used."""

from collections.abc import Iterable
from pathlib import Path

from kgents_cli.commands.permissions import as_text
from kgents_shared.bus.config import NatsConfig, Secret
from kgents_shared.bus.permissions import Permission, Permissions
from kgents_shared.contract import subjects
from support.nats_server import NatsServer
from support.uses import Uses

DENIED = " Violation - "
"""What the server logs of every subject that it refuses."""


def permitted(permissions: Permissions, user: str = "limited") -> str:
    """A user with what the command prints, as an operator copies it."""
    return f'{{ user: {user}, password: "{user}-password"\n' + "\n".join(as_text(permissions)) + "\n}"


def server_of(directory: Path, *users: str) -> NatsServer:
    admin = '{ user: admin, password: "admin-password" }'
    return NatsServer(directory, config=f"authorization {{ users: [ {admin}\n" + "\n".join(users) + "\n] }")


def login(url: str, user: str) -> NatsConfig:
    return NatsConfig(url=url, user=user, password=Secret(f"{user}-password"), request_timeout_s=10)


def unused(permissions: Permissions, uses: Uses) -> set[str]:
    """The subjects without which nothing that happened would have been refused."""
    return _unused(permissions.publish, uses.published) | _unused(permissions.subscribe, uses.subscribed)


def _unused(side: Iterable[Permission], used: Iterable[str]) -> set[str]:
    side = list(side)
    needed = set()
    for subject in used:
        allowing = [each.subject for each in side if subjects.matches(subject, each.subject)]
        needed |= set(allowing) if len(allowing) == 1 else set()
    return {each.subject for each in side} - needed
