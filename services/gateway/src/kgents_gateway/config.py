"""The settings of the gateway: where it listens, and how much it keeps for its clients."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from kgents_gateway.access.token_file import read, words
from kgents_shared.bus.config import Secret
from kgents_shared.bus.files import half_of_a_pair, unusable_pair
from kgents_shared.contract.address import is_loopback, of_url
from kgents_shared.contract.section import Fault, Section, unusable_url
from kgents_shared.runtime.yaml_file import read_struct
from kgents_shared.view.cost.prices import PriceList

Positive = Annotated[int, msgspec.Meta(gt=0)]

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class StreamConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Streams to clients: `gateway.stream`."""

    tick_ms: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 25
    """How long a change waits at most for others to go with it. A change that comes alone does not wait; at 200 changes
    a second this makes each of them five times cheaper, and people do not see 25 ms."""

    heartbeat_s: Positive = 5
    """How often a stream says that it is alive. The web view takes a gateway that misses two for gone; proxies end
    connections that are idle for 60 s, some for 20 s."""

    stalled_after_s: Positive = 20
    """A client that accepts nothing for so long is disconnected."""

    queue_bytes: Positive = 1_048_576
    """How much may wait for one client. Beyond that it gets only the last state of what changes."""

    remembered_changes: Positive = 20_000
    """How many changes are remembered for clients that connect again; one that missed more gets a snapshot."""

    max_clients: Positive = 2_000
    """Streams at once; further ones are asked to try again later."""


class LimitsConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests over HTTP of one identity, without a login of one address: `gateway.limits`."""

    requests_per_s: Positive = 100
    """In the long run."""

    burst: Positive = 2_000
    """At once: as many as there may be streams, which all come back when a gateway has stopped."""

    streams: Positive = 100
    """Streams of one token at once. Without a login all clients are one identity, and `stream.max_clients` counts."""


def is_confidential(url: str) -> bool:
    """Whether what is sent to a url is read by no one in between: TLS, or this machine."""
    try:
        return url.startswith("https://") or (url.startswith("http://") and is_loopback(of_url(url).host))
    except ValueError:
        return False


class OidcConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The OpenID provider at which people log in: `gateway.auth.oidc`. What they may read is in `auth.tokens_file`."""

    issuer: str
    """Its address, as it calls itself: `https://id.example/realms/main`. `http` is possible on loopback only."""

    client_id: str
    """The name of the gateway at the provider. Its redirect address there is `gateway.public_url`/login/callback."""

    client_secret: Secret
    """The secret of this client. It signs the cookies of those who have logged in, too: a new one ends all logins."""

    scopes: list[str] = msgspec.field(default_factory=lambda: ["openid", "profile"])
    """What is asked for. Many providers give the groups only for one of their own, such as `groups`."""

    groups_claim: str = "groups"
    """The claim of the ID token, or of the answer about the user, that lists the groups of a person."""

    session_hours: Annotated[int, msgspec.Meta(ge=1, le=168)] = 8
    """How long a login lasts. It cannot be withdrawn before, but for all of a group: by its line in the file."""

    def faults(self) -> Iterator[Fault]:
        if not is_confidential(self.issuer):
            yield Fault("issuer", "an address with https", f'"{self.issuer}"', "try: https://id.example")
        if "openid" not in self.scopes:
            yield Fault("scopes", "openid among them", ", ".join(self.scopes) or "none", "try: scopes: [openid]")

    def check(self) -> Iterator[Fault]:
        if not isinstance(self.client_secret, Secret):  # it is missing, which is reported already
            return
        try:
            self.client_secret.reveal()
        except OSError as error:
            yield Fault("client_secret", "a readable secret", str(error), "set client_secret_file to another file")


class AuthConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may ask over HTTP: `gateway.auth`."""

    tokens_file: str | None = None
    """The file with the digests of the tokens that are accepted, as `kgents token` writes it. It is read again when it
    changes. null: no login, which is possible on loopback only."""

    oidc: OidcConfig | None = None
    """The provider at which people log in. null: there is none, and browsers log in with tokens."""

    def faults(self) -> Iterator[Fault]:
        if self.oidc is not None and self.tokens_file is None:
            advice = "try: a file with the line `group:NAME`, which says what this group may read"
            yield Fault("tokens_file", "a file that names the groups of people", "none", advice, beside=("oidc",))

    def check(self) -> Iterator[Fault]:
        if self.tokens_file is None:
            return
        advice = f"try: kgents token NAME --file {self.tokens_file}"
        try:
            entries = read(self.tokens_file)
        except (OSError, ValueError) as error:
            yield Fault("tokens_file", "a readable file of tokens", f"{self.tokens_file}: {words(error)}", advice)
        else:
            if not entries.tokens and not (self.oidc is not None and entries.groups):
                yield Fault("tokens_file", "a file with a token", f"{self.tokens_file}: none", advice)


class TlsConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS of the gateway's own: `gateway.tls`."""

    cert_file: str | None = None
    """PEM file of the certificate, with those between it and the authority. It is read again when it changes."""

    key_file: str | None = None
    """PEM file of its key, without a passphrase."""

    def faults(self) -> Iterator[Fault]:
        yield from half_of_a_pair(self.cert_file, self.key_file)
        if self.cert_file is None and self.key_file is None:
            yield Fault("cert_file", "a certificate and its key", "none", "set both", beside=("key_file",))

    def check(self) -> Iterator[Fault]:
        yield from unusable_pair(self.cert_file, self.key_file)


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `gateway:` of the configuration."""

    host: str = "127.0.0.1"
    """The address to listen on. Loopback: only programs of this machine can connect."""

    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 7780
    """The port to listen on; 0: any free one."""

    allowed_hosts: list[str] = []
    """Names beside those of loopback that requests may be addressed to, such as that of a proxy in front."""

    public_url: str = ""
    """The address at which browsers reach it, with the path that a proxy puts in front: `https://see.example/kgents`.
    Its host is among the allowed ones. Only needed with `auth.oidc`: the provider sends browsers back to it."""

    tls: TlsConfig | None = None
    """TLS; then it speaks nothing else. null: none, as on loopback, or behind a proxy that has it."""

    auth: AuthConfig = AuthConfig()
    """Who may ask."""

    prices_file: str | None = None
    """A YAML file of prices, as `kgents cost` takes it. It is read at the start. null: there are none, and the web view
    shows no costs."""

    limits: LimitsConfig = LimitsConfig()
    """How much one identity may ask."""

    stream: StreamConfig = StreamConfig()
    """How changes are passed on."""

    def faults(self) -> Iterator[Fault]:
        if self.host not in LOOPBACK and self.auth.tokens_file is None:
            yield Fault(
                "host",
                "a loopback address as long as no login is asked for",
                f'"{self.host}"',
                "try: kgents token NAME --file tokens, and set gateway.auth.tokens_file",
                beside=("auth",),
            )
        if self.public_url:
            yield from unusable_url("public_url", self.public_url, ("http", "https"), "https://see.example")
        if self.auth.oidc is not None and not is_confidential(self.public_url):
            advice = "try: public_url: https://see.example"
            yield Fault("public_url", "an address with https", f'"{self.public_url}"', advice, beside=("auth",))

    def check(self) -> Iterator[Fault]:
        if self.prices_file is None:
            return
        try:
            read_struct(Path(self.prices_file), PriceList)
        except ValueError as error:
            yield Fault("prices_file", "a file of prices", f"{self.prices_file}: {error}", "see `kgents cost --help`")


def is_readable_on_the_way(config: Config) -> bool:
    """Whether tokens and answers travel over a network without encryption, as far as the configuration shows."""
    return config.host not in LOOPBACK and config.tls is None and not config.public_url.startswith("https://")
