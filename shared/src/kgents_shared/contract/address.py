"""Host, port, IPv6 and service names as text: the only place that joins, splits and normalises them. Pure.

Every way to write one address has one normal form: `10.0.3.7:5432`, `[fd00::7]:5432`, `fd00::7`, `pg.shop.svc`.
Names are lower-case without the trailing dot; IPv6 is compressed, in brackets only beside a port, and IPv4 where it
holds IPv4 (`::ffff:10.0.3.7`). A zone stays (`fe80::1%eth0`): the same address in two zones is two hosts. What is
neither a name nor an address (`container-id:4f…`, a path) is left as it is.
"""

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

PORT_MAX: Final = 65535
REMEMBERED: Final = 16_384
"""Peers whose names are remembered: many clients name the same few thousand services."""

_NORMAL: Final = re.compile(r"[a-z0-9._-]*[a-z0-9_-](?::[1-9][0-9]{0,4})?")
"""Already in normal form, as nearly every name and IPv4 address is: no further work."""
_NAME: Final = re.compile(r"[^\s:/@\[\]]*[^\s:/@\[\].]\.?")
_PORT: Final = re.compile(r"[0-9]{1,5}")


class Address(NamedTuple):
    """A host, and a port on it."""

    host: str
    """In normal form, without brackets."""
    port: int | None = None
    """None where none is given."""


def split(text: str) -> Address:
    """The host and the port of `10.0.3.7:5432`, `[fd00::7]:5432`, `fd00::7`, `pg.shop.svc`.

    A text that is no address is a host without a port, unchanged.
    """
    host, colon, port = text.rpartition(":")
    if colon and _is_port(port) and (":" not in host or _is_bracketed(host)) and (found := _host(host)) is not None:
        return Address(found, int(port))
    return Address(_host(text) or text)


def split_port(text: str) -> Address:
    """The same for a text that always ends in a port, from a source that writes IPv6 without brackets (Redis)."""
    host, _, port = text.rpartition(":")
    if not _is_port(port):
        return split(text)
    return Address(normalised(host), int(port))


def join(host: str, port: int | None = None) -> str:
    """`10.0.3.7:80`, `[fd00::7]:80`, and without a port `fd00::7`: the normal form."""
    host = normalised(host)
    if port is None:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def normalised(text: str) -> str:
    """The one form of an address with or without a port."""
    if _NORMAL.fullmatch(text):
        return text
    host, port = split(text)
    return host if port is None else join(host, port)


@lru_cache(maxsize=REMEMBERED)
def candidates(text: str) -> tuple[str, ...]:
    """The names under which a peer may be found, the most exact first: `[fd00::7]:5432`, then `fd00::7`."""
    name = normalised(text)
    if ":" in name and (found := split(name)).port is not None:
        return name, found.host
    return (name,)


def of_url(url: str, default_port: int | None = None) -> Address:
    """Host and port of a url, without its login; an empty host where it names none.

    Raises:
        ValueError: the port is no number up to 65535, or a bracket is missing.
    """
    parts = urlsplit(url)
    return Address(normalised(unquote(parts.hostname or "")), parts.port or default_port)


def is_ip(host: str) -> bool:
    """Whether it is an IPv4 or IPv6 address, so that no name needs to be resolved."""
    return _ip(host) is not None


def is_loopback(host: str) -> bool:
    """Whether it is only reachable on its own machine: `127.0.0.1`, `::1`, `localhost`."""
    host = normalised(host)
    return host in ("localhost", "::1") or (host.startswith("127.") and is_ip(host))


def is_link_local(host: str) -> bool:
    """Whether it is only reachable on one network segment, and may be there on every one: `169.254.…`, `fe80::…`."""
    host = normalised(host)
    return is_ip(host) and (host.startswith(("169.254.", "fe8", "fe9", "fea", "feb")))


def is_public(host: str) -> bool:
    """Whether it is an address of the internet, which is the same everywhere."""
    return is_ip(host) and ip_address(host).is_global


def is_unspecified(host: str) -> bool:
    """Whether it means every local address to listen on: `0.0.0.0`, `::`, or empty."""
    return normalised(host) in ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound


def _host(text: str) -> str | None:
    """The normal form of a name or an address, in brackets or not; None for what is neither."""
    if _is_bracketed(text):
        inner = text[1:-1]
        return _ip(inner) if ":" in inner else None
    if ":" in text:
        return _ip(text)
    if not _NAME.fullmatch(text):
        return None
    return (text.lower() if text.isascii() else text).removesuffix(".")


def _ip(text: str) -> str | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None and found.scope_id is None:
        return str(found.ipv4_mapped)
    return str(found)


def _is_bracketed(text: str) -> bool:
    return text.startswith("[") and text.endswith("]")


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and 0 < int(text) <= PORT_MAX
