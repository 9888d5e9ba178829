"""`kgents permissions`: what a service reads and writes → the least permissions of its login, as NATS configuration."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from socket import gethostname
from typing import Any, Final

import click
import msgspec

import kgents.client
from kgents_cli import connection
from kgents_cli.installed import load_service, service_names
from kgents_cli.options import config_option, output_option
from kgents_cli.output import note, say, say_document
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.permissions import (
    Permission,
    Permissions,
    of_auditor,
    of_backup,
    of_operator,
    of_provisioner,
    of_reader,
    together,
)
from kgents_shared.runtime import config as configuration
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.runtime.service import Service

READER: Final = "reader"
"""In place of a service: commands that only read, and programs with the library."""
OPERATOR: Final = "operator"
"""In place of a service: people on call, who also silence and acknowledge."""
AUDITOR: Final = "auditor"
"""In place of a service: people who also read the audit trail."""
THE_OPERATOR: Final = "kgents-operator"
"""The service `operator`, whose name is that of people here."""
PROVISION: Final = "provision"
"""In place of a service: `kgents provision`."""
BACKUP: Final = "backup"
"""In place of a service: `kgents backup` and `kgents restore`."""
_PEOPLE: Final = {READER: of_reader, AUDITOR: of_auditor, OPERATOR: of_operator}
"""Who reads, of some clusters or all."""
_JOBS: Final = {PROVISION: of_provisioner, BACKUP: of_backup}
"""Who keeps the streams."""


@click.command("permissions")
@click.argument("login", metavar="SERVICE")
@click.option("--cluster", "clusters", multiple=True, metavar="NAME", help="Only this cluster; may be repeated.")
@click.option("--place", "places", multiple=True, metavar="NAME", help="Of collector-host: each machine, else this.")
@click.option("--user", "users", multiple=True, metavar="NAME", help="Of people: the user's name, or its public NKey.")
@output_option("text", "json", "nsc")
@config_option
def command(
    login: str, clusters: tuple[str, ...], places: tuple[str, ...], users: tuple[str, ...], output: str,
    config_file: Path | None,
) -> None:  # fmt: skip
    """Print the least permissions of a login: of a SERVICE, or of people.

    `reader`, `auditor`, `operator`, `provision` and `backup` are people, and jobs of theirs: who runs these commands.
    An `auditor` is a reader who also reads the audit trail (`kgents audit`). An `operator` is a reader who also
    silences and acknowledges alerts; the service is `kgents-operator`. Replies to them arrive under the name of their
    login, so that no one hears those of another: --user is its name, or the public key of its NKey (`U…`).

    They go into the user of the service in the configuration of nats-server (text), its JSON, or a user JWT (nsc).
    The first cluster is the one that the service is configured with. Without --cluster a collector has that of the
    configuration, all others work for every cluster.

    \b
    Examples:
      kgents permissions collector-k8s --cluster prod
      kgents permissions reader --user alice --cluster prod -o json
      kgents permissions topology-builder -o nsc
    """  # noqa: D301
    environ = configuration.process_environ()
    common = configuration.load_common(path=config_file, environ=environ, services=service_names(), elsewhere=True)
    permissions = of_login(login, common, clusters, places, users=users, config_file=config_file, environ=environ)
    match output:
        case "json":
            say_document(msgspec.json.format(msgspec.json.encode(_as_json(permissions))))
        case "nsc":
            say(" \\\n  ".join(_as_nsc(login, permissions)))
        case _:
            for line in as_text(permissions):
                say(line)
    if login in _PEOPLE and clusters:
        note("several kinds or names at once, and past states, need the permissions of a reader of all clusters")


def of_login(
    login: str, common: CommonConfig, clusters: Sequence[str], places: Sequence[str] = (), *,
    users: Sequence[str] = (),
    config_file: Path | None = None,
    environ: Mapping[str, str] = {},
) -> Permissions:  # fmt: skip
    """The permissions of a login, of the clusters that are named; of a collector in its own cluster otherwise.

    `places`: the machines of a collector that observes one each, and whose instances share the login; none: this one.
    `users`: of people, the names by which NATS knows the login: that of the user, or its public keys.
    `config_file`, `environ`: the configuration of the service, which may name subjects that it listens to.

    Raises:
        UsageError: there is no such service, or people have no name.
    """
    nats = common.nats
    if login in _JOBS:
        return _JOBS[login](api_prefix=nats.api_prefix, inbox_prefixes=_inboxes(login, nats, users, connection.NAME))
    if login in _PEOPLE:
        inboxes = _inboxes(login, nats, users, connection.NAME, kgents.client.NAME)
        return _PEOPLE[login](clusters or (None,), api_prefix=nats.api_prefix, inbox_prefixes=inboxes)
    if login == THE_OPERATOR:
        login = OPERATOR
    if login not in service_names():
        raise click.UsageError(
            f"expected one of {', '.join((*service_names(), *_PEOPLE, PROVISION, BACKUP))}, found {login}"
        )
    service = load_service(login)
    home = clusters[0] if clusters else common.cluster
    named: Sequence[str | None] = clusters or (home if service.source else None,)
    own, has_copies = _own(service, config_file, environ), bool(common.streams.archive_copy_max_bytes)
    at = [service] if service.place is None else [service.at_place(each) for each in places or [gethostname()]]
    return together(each.permissions(nats, home, named, own, has_copies=has_copies) for each in at)


def _inboxes(login: str, nats: NatsConfig, users: Sequence[str], *programs: str) -> list[str]:
    """Where replies to people arrive, each of whom has a login of their own."""
    if nats.inbox_prefix is not None:
        return [nats.inbox_prefix]
    if not users or not all(users):
        raise click.UsageError(
            f"expected --user, the name of this login's user or its public NKey, found none: replies arrive under it; "
            f"try: kgents permissions {login} --user alice"
        )
    return [nats.inbox_of(program, user) for user in users for program in programs]


def _own(service: Service[Any], config_file: Path | None, environ: Mapping[str, str]) -> Any:
    """The settings of a service that says by them what it subscribes to."""
    if service.access.listens is None:
        return None
    return configuration.load(
        service.name, service.config, path=config_file, environ=environ, services=service_names(), elsewhere=True
    )[1]


def as_text(permissions: Permissions) -> Iterator[str]:
    """The lines of a `permissions` block, each subject with what it is for."""
    yield "permissions {"
    for verb, side in _sides(permissions):
        yield f"  {verb} {{ allow: ["
        width = max(len(each.subject) for each in side)
        yield from (f'    "{each.subject}"{" " * (width - len(each.subject))}  # {each.why}' for each in side)
        yield "  ] }"
    if permissions.responds:
        yield "  allow_responses: true  # one message for each request"
    yield "}"


def _as_json(permissions: Permissions) -> dict[str, Any]:
    found: dict[str, Any] = {verb: {"allow": [each.subject for each in side]} for verb, side in _sides(permissions)}
    return found | ({"allow_responses": True} if permissions.responds else {})


def _as_nsc(login: str, permissions: Permissions) -> Iterator[str]:
    yield f"nsc edit user --name {shlex.quote(login)}"
    for flag, (_, side) in zip(("--allow-pub", "--allow-sub"), _sides(permissions), strict=True):
        yield from (f"{flag} {shlex.quote(each.subject)}" for each in side)
    if permissions.responds:
        yield "--allow-pub-response"


def _sides(permissions: Permissions) -> tuple[tuple[str, tuple[Permission, ...]], ...]:
    return ("publish", permissions.publish), ("subscribe", permissions.subscribe)
