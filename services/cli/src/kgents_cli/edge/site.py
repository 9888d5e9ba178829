"""The directory of a hub: which logins and edges there are, their public keys, and the files that are made of that.

Seeds are in files of their own, readable by their owner alone, and in nothing else; where a seed has been moved to its
service, the directory still knows the public key.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import nkeys  # type: ignore[import-untyped]
from msgspec import structs

from kgents_cli.commands.permissions import of_login
from kgents_cli.edge import rendering
from kgents_cli.edge.rendering import Login
from kgents_cli.installed import service_names
from kgents_shared.bus.permissions import Permissions, of_leaf
from kgents_shared.contract.errors import KgentsError
from kgents_shared.runtime.config import load_common

STATE: Final = "logins.json"
CONFIG: Final = "kgents.yaml"
SECRET_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700
SYSTEM: Final = "sys"
HUB_SERVICES: Final = (
    "provision", "backup", "edge-sync", "topology-builder", "health-scorer", "alert-notifier", "gateway", "archiver",
    "otlp-exporter", "collector-nats", "reader", "auditor", "operator",
)  # fmt: skip
EDGE_SERVICES: Final = ("provision", "reader")
COLLECTORS: Final = ("collector-k8s", "collector-docker", "collector-db", "collector-nats", "collector-otel")
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
LOGIN: Final = re.compile(r"[a-z0-9-]+(@[A-Za-z0-9_.@,-]{1,128})?")
"""A service, maybe at its machines, or a person: also the name of a file."""


class State(msgspec.Struct):
    """What is known of a site; public keys only."""

    cluster: str
    logins: dict[str, list[str]] = {}
    edges: dict[str, list[str]] = {}
    """Of a hub: edge → the public keys of its leaf node; the last one is the newest."""
    servers: list[str] = []
    """Of a hub: its servers' names."""


class Site:
    """A directory of a hub or an edge."""

    def __init__(self, directory: Path, state: State) -> None:
        self.directory = directory
        self.state = state

    @classmethod
    def open(cls, directory: Path) -> "Site":
        """A directory that is there.

        Raises:
            ConfigError: its settings cannot be used, so no accounts can be made of them.
            KgentsError: it is none of ours.
        """
        try:
            content = (directory / STATE).read_bytes()
            site = cls(directory, msgspec.json.decode(content, type=State))
        except (OSError, msgspec.DecodeError) as error:
            found = error.strerror if isinstance(error, OSError) else "another content"
            raise KgentsError(
                f"expected the directory of a hub with {STATE}, found: {found}; try: `kgents edge init {directory}`"
            ) from error
        for name in site.state.logins:
            site._login(name)  # before anything is done that ends with writing them
        return site

    @classmethod
    def create(cls, directory: Path, state: State) -> "Site":
        """A new directory.

        Raises:
            KgentsError: something is there already, whose keys would be lost.
        """
        if (directory / STATE).exists():
            raise KgentsError(f"expected no {STATE} in {directory}, found one: it is set up; try: `ls {directory}`")
        try:
            (directory / "keys").mkdir(parents=True, exist_ok=True)
            (directory / "tls").mkdir(exist_ok=True)
            for private in (directory, directory / "keys", directory / "tls"):
                private.chmod(DIRECTORY_MODE)
        except OSError as error:
            raise KgentsError(f"expected to make {directory}, found: {error.strerror}; try: another one") from error
        return cls(directory, state)

    def add_login(self, name: str) -> None:
        """A key for a login that has none yet."""
        if name not in self.state.logins:
            seed, public = new_key()
            write(self.directory / "keys" / f"{name}.nk", seed, SECRET_MODE)
            self.state.logins[name] = [public]

    def remove_login(self, name: str) -> None:
        """Forget a login's key, and remove its file where it is still here."""
        del self.state.logins[name]
        (self.directory / "keys" / f"{name}.nk").unlink(missing_ok=True)

    def save(self) -> None:
        """Write the accounts, and last what they were made of."""
        logins = [*map(self._login, self.state.logins)]
        system = next(each for each in logins if each.name == SYSTEM)
        leaves = [Login(f"edge {edge}", tuple(keys), of_leaf(edge)) for edge, keys in self.state.edges.items()]
        users = [*(each for each in logins if each is not system), *leaves]
        write(self.directory / "accounts.conf", rendering.of_accounts(users, system), 0o644)
        write(self.directory / STATE, msgspec.json.format(msgspec.json.encode(self.state)).decode() + "\n", 0o644)

    def name_edges(self) -> bool:
        """Name the edges in `kgents.yaml`; returns whether that line was there."""
        file = self.directory / CONFIG
        text = file.read_text("utf-8") if file.exists() else ""
        line = rendering.edges_line(sorted(self.state.edges))
        changed, count = re.subn(r"(?m)^  edges: \[.*$", lambda _: line, text)
        if count:
            write(file, changed, 0o644)
        return bool(count)

    def _login(self, name: str) -> Login:
        keys = tuple(self.state.logins[name])
        if name == SYSTEM:
            return Login(name, keys, None)
        return Login(name, keys, self.permissions_of(name, keys))

    def permissions_of(self, login: str, keys: Sequence[str] = ("new",)) -> Permissions:
        """Of a service, of one at some places (`collector-host@MACHINE,MACHINE`), or of people (`reader@NAME`).

        What its settings permit beyond the usual, such as subjects to listen to, is in `kgents.yaml` here.

        Raises:
            ConfigError: that file cannot be used.
            KgentsError: it is no name of a login.
            UsageError: there is no such service.
        """
        if not LOGIN.fullmatch(login):
            raise KgentsError(
                f"expected a service, one at its machine, or a person, found {login!r}; try: collector-host@web7, "
                "reader@alice"
            )
        service, _, places = login.partition("@")
        cluster = self.state.cluster
        clusters = [cluster] if service.startswith("collector-") else []
        file = self.directory / CONFIG
        config_file = file if file.exists() else None
        common = load_common(path=config_file, environ={}, services=service_names(), elsewhere=True)
        return of_login(
            service, structs.replace(common, cluster=cluster), clusters, list(filter(None, places.split(","))),
            users=keys, config_file=config_file,
        )  # fmt: skip


def new_key() -> tuple[str, str]:
    """A new user's seed and public key."""
    pair = nkeys.from_seed(seed := nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER))
    return seed.decode(), pair.public_key.decode()


def write(file: Path, text: str, mode: int) -> None:
    """Replace a file as a whole; one with a secret is never readable by others, not for a moment.

    Raises:
        KgentsError: it cannot be written.
    """
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as opened:
            opened.write(text)
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise KgentsError(f"expected to write {file}, found: {error.strerror}; try: another directory") from error


def require_name(name: str, taken: Sequence[str] = ()) -> None:
    """See that an edge may be called so: it is part of its subjects, and its JetStream domain.

    Raises:
        KgentsError: it may not.
    """
    if not NAME.fullmatch(name):
        raise KgentsError(f'expected letters, digits, - and _ as a name, found "{name}"; try: another name')
    if name in taken:
        raise KgentsError(f"expected a new name, found {name}, which there is; try: `kgents edge rotate {name}`")
