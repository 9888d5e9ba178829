"""The settings of the gateway: where it listens, and how much it keeps for its clients."""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from kgents_gateway.access.token_file import read, words
from kgents_shared.contract.section import Fault, Section

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


class AuthConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may ask over HTTP: `gateway.auth`."""

    tokens_file: str | None = None
    """The file with the digests of the tokens that are accepted, as `kgents token` writes it. It is read again when it
    changes. null: no login, which is possible on loopback only."""

    def check(self) -> Iterator[Fault]:
        if self.tokens_file is None:
            return
        advice = f"try: kgents token NAME --file {self.tokens_file}"
        try:
            tokens = read(self.tokens_file)
        except (OSError, ValueError) as error:
            yield Fault("tokens_file", "a readable file of tokens", f"{self.tokens_file}: {words(error)}", advice)
        else:
            if not tokens:
                yield Fault("tokens_file", "a file with a token", f"{self.tokens_file}: none", advice)


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `gateway:` of the configuration."""

    host: str = "127.0.0.1"
    """The address to listen on. Loopback: only programs of this machine can connect."""

    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 7780
    """The port to listen on; 0: any free one."""

    allowed_hosts: list[str] = []
    """Names beside those of loopback that requests may be addressed to, such as that of a proxy in front."""

    auth: AuthConfig = AuthConfig()
    """Who may ask."""

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
