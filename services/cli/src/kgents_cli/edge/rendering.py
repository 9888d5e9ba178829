"""The configuration of nats-server for a hub and for an edge, from what they are. Pure.

A map has to begin on a line of its own: nats-server reads `{…} NAME {` on one line as something else.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from kgents_shared.bus.permissions import Permission, Permissions
from kgents_shared.contract import address

ACCOUNT: Final = "KGENTS"
SYSTEM: Final = "SYS"
LOOPBACK: Final = "127.0.0.1"
MAX_PAYLOAD: Final = "1MB"
"""At a hub and its edges alike: a message that a hub refuses would stop the copy of its edge."""
CLIENTS, LEAVES, ROUTES, MONITORING = 4222, 7422, 6222, 8222


class Ports(msgspec.Struct, frozen=True):
    """Where a server listens."""

    clients: int = CLIENTS
    leaves: int = LEAVES
    routes: int = ROUTES
    monitoring: int = MONITORING


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One nats-server."""

    name: str
    domain: str
    at: str
    """The directory of its configuration, where it will run."""
    state: str = ""
    """The directory that it writes to, there; empty: the same."""
    listen: str
    monitoring: str = LOOPBACK
    """Where it says how it is, to everyone who asks."""
    ports: Ports = Ports()
    store_bytes: str = "10GB"
    tls: bool = True


class Login(msgspec.Struct, frozen=True):
    """A user: its public keys (two while one takes the place of the other), and what it may do; None: everything."""

    name: str
    keys: tuple[str, ...]
    permissions: Permissions | None


def of_hub(server: Server, peers: Sequence[str]) -> str:
    """`nats.conf` of a server of the hub; `peers`: the hosts of all its servers, if there are several."""
    return _text(_common(server), _leaves(server), _cluster(server, peers) if len(peers) > 1 else ())


def of_edge(server: Server) -> str:
    """`nats.conf` of an edge; the remote itself, which holds the key, is in `leaf.conf`."""
    return _text(_common(server), ("leafnodes {", "  no_advertise: true", '  include "leaf.conf"', "}"))


def of_remote(urls: Sequence[str], seed: str, ca_file: str | None) -> str:
    """`leaf.conf`: nothing of ours passes the link but what the hub copies, so that nothing is stored twice."""
    return _text(
        (
            'reconnect: "1s"',
            "remotes: [",
            "  {",
            f"    urls: [{', '.join(map(_quoted, urls))}]",
            f"    account: {ACCOUNT}",
            f"    nkey: {seed}",
            '    deny_imports: ["kgents.>"]',
            '    deny_exports: ["kgents.>"]',
        ),
        ("    tls {", f"      ca_file: {_quoted(ca_file)}", "    }") if ca_file is not None else (),
        ("  }", "]"),
    )


def of_accounts(logins: Iterable[Login], system: Login) -> str:
    """`accounts.conf`: each login with its least permissions. It holds public keys only."""
    lines = ["accounts {", f"  {ACCOUNT} {{", "    jetstream: enabled", "    users: ["]
    for login in logins:
        for key in login.keys:
            lines += _user(login, key)
    lines += ["    ]", "  }", f"  {SYSTEM} {{", "    users: ["]
    for key in system.keys:
        lines += _user(system, key)
    return _text([*lines, "    ]", "  }", "}", f"system_account: {SYSTEM}"])


def _common(server: Server) -> Iterator[str]:
    yield f"server_name: {_quoted(server.name)}"
    yield f"listen: {_quoted(f'{server.listen}:{server.ports.clients}')}"
    yield f"http: {_quoted(f'{server.monitoring}:{server.ports.monitoring}')}"
    state = server.state or server.at
    yield f"pid_file: {_quoted(f'{state}/{server.name}.pid')}"  # to reload it: kill -HUP
    yield f"max_payload: {MAX_PAYLOAD}"
    yield "jetstream {"
    yield f"  store_dir: {_quoted(f'{state}/data/{server.name}')}"
    yield f"  domain: {server.domain}"
    yield f"  max_file_store: {server.store_bytes}"
    yield "}"
    if server.tls:
        yield from _tls(server, "")
    yield 'include "accounts.conf"'


def _leaves(server: Server) -> Iterator[str]:
    yield "leafnodes {"
    yield f"  listen: {_quoted(f'{server.listen}:{server.ports.leaves}')}"
    yield "  no_advertise: true"  # else an edge learns addresses that it cannot reach
    if server.tls:
        yield from _tls(server, "  ")
    yield "}"


def _cluster(server: Server, peers: Sequence[str]) -> Iterator[str]:
    yield "cluster {"
    yield f"  name: {server.domain}"
    yield f"  listen: {_quoted(f'{server.listen}:{server.ports.routes}')}"
    yield "  no_advertise: true"
    if server.tls:
        yield from _tls(server, "  ", verify=True)  # a route has no other login
    yield f"  routes: [{', '.join(_quoted(f'nats://{_with_port(peer, server.ports.routes)}') for peer in peers)}]"
    yield "}"


def _with_port(host: str, port: int) -> str:
    found = address.split(host)
    return address.join(found.host, found.port or port)


def _tls(server: Server, indent: str, *, verify: bool = False) -> Iterator[str]:
    yield f"{indent}tls {{"
    for field, name in (("cert_file", "server.pem"), ("key_file", "server-key.pem"), ("ca_file", "ca.pem")):
        yield f"{indent}  {field}: {_quoted(f'{server.at}/tls/{name}')}"
    if verify:
        yield f"{indent}  verify: true"
    yield f"{indent}  timeout: 3"
    yield f"{indent}}}"


def _user(login: Login, key: str) -> Iterator[str]:
    yield f"      # {login.name}"
    yield "      {"
    yield f"        nkey: {key}"
    if login.permissions is not None:
        yield "        permissions {"
        for verb, side in (("publish", login.permissions.publish), ("subscribe", login.permissions.subscribe)):
            yield from _side(verb, side)
        if login.permissions.responds:
            yield "          allow_responses: true"
        yield "        }"
    yield "      }"


def _side(verb: str, side: Sequence[Permission]) -> Iterator[str]:
    yield f"          {verb} {{"
    yield "            allow: ["
    yield from (f"              {_quoted(each.subject)}" for each in side)
    yield "            ]"
    yield "          }"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(*parts: Iterable[str]) -> str:
    return "\n".join(line for part in parts for line in part) + "\n"


def of_kgents(values: Mapping[str, str], edges: Sequence[str] | None) -> str:
    """`kgents.yaml` of a hub, or (no list of edges) of an edge: what its services and commands are given."""
    lines = [f"cluster: {values['cluster']}", "nats:", f"  url: {values['url']}"]
    if "ca_file" in values:
        lines += ["  tls:", f"    ca_file: {values['ca_file']}"]
    lines += ["streams:", "  place: edge"] if edges is None else ["streams:", edges_line(edges)]
    return _text(lines)


def edges_line(edges: Sequence[str]) -> str:
    """The line of `kgents.yaml` that names the edges."""
    return f"  edges: [{', '.join(edges)}]  # kept by `kgents edge new` and `kgents edge revoke`"
