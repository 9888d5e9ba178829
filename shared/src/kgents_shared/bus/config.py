"""The settings of the connection to NATS: read by `runtime.config` at the start, used by the bus.

Nothing here opens a socket, and the only file ever read is a secret's own.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from msgspec import structs

from kgents_shared.bus.files import TlsFiles, unreadable
from kgents_shared.bus.requests import api_prefix_of
from kgents_shared.contract.section import Fault, Section, unusable_url
from kgents_shared.contract.subjects import escape

SECRET_BYTES_MAX = 64 * 1024
"""The most a secret's file may hold: no credential is larger, and a wrong path (a log, a device) ends here."""

_SCHEMES = ("nats", "tls", "ws", "wss")


class Secret:
    """A value that must never be printed: given literally (a `str`), or as the file that holds it (a `Path`).

    A file is read at every `reveal`, so a rotated secret is taken up by the next connection without a restart.
    It is a plain class and no Struct or dataclass, since msgspec would encode those, and so would every log line.
    """

    __slots__ = ("_source",)
    _source: str | Path

    def __init__(self, source: str | Path) -> None:
        object.__setattr__(self, "_source", source)

    def reveal(self) -> str:
        """Return the value itself; call it as late as possible and do not store the result.

        Returns:
            The literal, or the text of the file without one trailing newline (editors and `echo` add it).

        Raises:
            OSError: the file cannot be read, is larger than `SECRET_BYTES_MAX`, or is not UTF-8 text.
        """
        return self._source if isinstance(self._source, str) else _text_of(self._source)

    def faults(self) -> Iterator[Fault]:
        """Yield why its file cannot be used, if there is one and it cannot. May read it."""
        if isinstance(self._source, str):
            return
        path = str(self._source)
        if found := list(unreadable("", path, "a secret")):
            yield from found
            return
        try:
            is_empty = not self.reveal()
        except OSError:
            yield Fault(
                "", f"UTF-8 text of at most {SECRET_BYTES_MAX} bytes", f"{path}: something else", "check the path"
            )
            return
        if is_empty:
            yield Fault("", "a secret in a file", f"{path}: a file without it", "check what writes it")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Secret cannot be changed (setting {name}); make a new one")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._source == other._source

    def __hash__(self) -> int:
        return hash(self._source)

    def __repr__(self) -> str:
        return "Secret(***)"


class LateSecret(Secret):
    """A secret whose file may be missing at the start: what needs it waits for it, and everything else goes on."""

    __slots__ = ()


def late_faults(value: object, at: str) -> Iterator[Fault]:
    """Yield the late secrets of a section that cannot be used now, each by its setting. May read their files.

    Args:
        value: a section, or anything in one.
        at: the setting that holds it.
    """
    match value:
        case LateSecret():
            yield from (structs.replace(each, at=f"{at}_file") for each in value.faults())
        case Section():
            for field in structs.fields(value):
                yield from late_faults(getattr(value, field.name), f"{at}.{field.name}")
        case dict():
            for name, each in value.items():
                yield from late_faults(each, f"{at}.{name}")
        case _:
            pass


def _text_of(path: Path) -> str:
    advice = "check the path, its mount and its permissions"
    try:
        with path.open("rb") as file:
            # One byte over the limit is enough to know, and an endless device is never read to its end.
            content = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise OSError(f"secret file {path}: expected a readable file, found: {error.strerror}; {advice}") from error
    except ValueError as error:  # a NUL byte
        raise OSError(f"secret file: expected a path that a file can have, found another; {advice}") from error
    if len(content) > SECRET_BYTES_MAX:
        raise OSError(f"secret file {path}: expected at most {SECRET_BYTES_MAX} bytes, found more; {advice}")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # `from None`: the original error carries the bytes of the secret.
        raise OSError(f"secret file {path}: expected UTF-8 text, found other bytes; {advice}") from None
    return re.sub(r"\r?\n\Z", "", text)


class TlsConfig(TlsFiles, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS to the server. If this section is present, TLS is required; the server's certificate is always verified."""

    handshake_first: bool = False
    """Whether TLS begins before the server's INFO line. It must equal the server's own `handshake_first`,
    which is off by default; so is this."""


class NatsConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the NATS server is, and how to authenticate. At most one way to authenticate may be given."""

    url: str = "nats://127.0.0.1:4222"
    """One or more server urls, separated by commas, tried in this order. Without user or password: urls are logged.
    One `tls://` or `wss://` among them demands TLS of all, so that credentials never go to a server in clear text
    because it comes later in the list. The default is the server of `make up` and of a bare `nats-server`."""

    credentials_file: str | None = None
    """A `.creds` file (JWT and seed) as `nsc` writes it. null: another way to authenticate, or none."""

    nkey_seed: Secret | None = None
    """The seed of an NKey user (`SU…`). null: another way to authenticate, or none."""

    user: str | None = None
    """The user's name; `password` must then be given too. null: another way to authenticate, or none."""

    password: Secret | None = None
    """The password of `user`."""

    token: Secret | None = None
    """A token shared by all clients. null: another way to authenticate, or none."""

    tls: TlsConfig | None = None
    """TLS; if given, a server without TLS is refused before anything is sent to it. null: plain text,
    unless a url begins with `tls://` or `wss://` (then the same holds), or the server requires TLS."""

    inbox_prefix: str | None = None
    """The prefix of the subjects on which replies arrive. null: `_INBOX_<service>.<cluster>`, and of commands
    `_INBOX_cli.<login>` with the name of the user or the public key, so that permissions can give each its own; a
    shared `_INBOX.>` would let every client read every reply. For commands whose login is known to the server alone
    (a certificate that it maps to a user), give each person one."""

    connect_timeout_s: float = 5.0
    """Seconds for one attempt to connect to one server. Five outlast a lost SYN and its first two retries.
    A silent host is left sooner for the next url, and has all of that time again in the next round."""

    request_timeout_s: float = 5.0
    """Seconds to wait for a JetStream answer. Five is the usual default of NATS clients, and
    longer than a stream takes to elect a new leader."""

    jetstream_domain: str | None = None
    """The JetStream domain to use, as on leaf nodes. null: the domain of the server we connect to."""

    def faults(self) -> Iterator[Fault]:
        yield from self._url_faults()
        yield from self._login_faults()
        for name in ("connect_timeout_s", "request_timeout_s"):
            seconds: float = getattr(self, name)
            if not seconds > 0:
                yield Fault(name, "more than 0 seconds", f"{seconds:g}", "try: 5, the default")

    def check(self) -> Iterator[Fault]:
        yield from unreadable("credentials_file", self.credentials_file, "a JWT and a seed, as `nsc` writes it")

    @property
    def urls(self) -> tuple[str, ...]:
        """The servers of `url`, one by one."""
        return tuple(url.strip() for url in self.url.split(",") if url.strip())

    @property
    def needs_tls(self) -> bool:
        """Whether a server without TLS is refused."""
        return self.tls is not None or any(url.startswith(("tls://", "wss://")) for url in self.urls)

    @property
    def api_prefix(self) -> str:
        """How requests to JetStream begin."""
        return api_prefix_of(self.jetstream_domain)

    def inbox_of(self, name: str, owner: str) -> str:
        """How the subjects of replies to a program begin.

        `owner`: the cluster of a service, else the login by which a person comes; empty: neither is known.
        """
        return self.inbox_prefix or f"_INBOX_{name}{f'.{escape(owner)}' if owner else ''}"

    @property
    def round_timeout_s(self) -> float:
        """Seconds after which each server was tried once, with half a second to spare for all of them."""
        return self.connect_timeout_s * len(self.urls) + 0.5

    def _url_faults(self) -> Iterator[Fault]:
        if "@" in self.url:
            # Nothing of it is quoted: a comma in a password would make half of it a url.
            advice = "urls are logged: use user and password, or token"
            yield Fault("url", "servers without user or password", "an @", advice)
            return
        if not self.urls:
            yield Fault("url", "at least one server", "nothing", "try: nats://host:4222")
        for url in self.urls:
            yield from unusable_url("url", url, _SCHEMES, "nats://host:4222")
            if self.needs_tls and url.startswith("ws://"):
                yield Fault("url", "TLS for every server", f'"{url}", which has none', "try: wss://", beside=("tls",))

    def _login_faults(self) -> Iterator[Fault]:
        methods = ("credentials_file", "nkey_seed", "user", "token")
        given = [name for name in methods if getattr(self, name) is not None]
        if len(given) > 1:
            first, *others = given
            found = " and ".join(given)
            yield Fault(first, "at most one way to authenticate", found, "keep one", beside=tuple(others))
        if (self.user is None) != (self.password is None):
            found, missing = ("user", "password") if self.password is None else ("password", "user")
            yield Fault(found, "user and password together", f"only {found}", f"set {missing} too", beside=(missing,))
