"""What this collector is told: read by `runtime.config` before source/ opens anything."""

import re
from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from kgents_shared.contract.address import of_url

DEFAULT_URL: Final = "unix:///var/run/docker.sock"
SCHEMES: Final = ("unix://", "tcp://", "http://", "https://")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def _has_host_and_port(url: str) -> bool:
    """Whether it says both; a port may be left out where the scheme has one of its own."""
    try:
        host, port = of_url(url)
        return bool(host) and (port is not None or not url.startswith("tcp:"))
    except ValueError:
        return False


class TlsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to speak TLS to an engine on TCP. The engine's certificate is always verified."""

    ca_file: str | None = None
    """PEM file of the authorities to trust. null: those of the operating system."""

    cert_file: str | None = None
    """PEM file of our own certificate; engines with `--tlsverify` want one. null: we show none."""

    key_file: str | None = None
    """PEM file of the key of `cert_file`; the two are given together or not at all."""

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            given, missing = ("cert_file", "key_file") if self.key_file is None else ("key_file", "cert_file")
            raise ValueError(f"expected cert_file and key_file together, found only {given}; set {missing} too")


class EngineConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One engine."""

    name: str = ""
    """What its things are called by: `<name>/<their own name>`. Empty, for one engine at most: their own name alone."""

    url: str | None = None
    """`unix:///path/to/docker.sock` or `tcp://host:port`. null: the context's; without one, what is found on
    this machine, as for `docker`: DOCKER_HOST, the current context, `/var/run/docker.sock`, in this order."""

    context: str | None = None
    """A context of the `docker` command (`docker context ls`): its address and certificates."""

    tls: TlsConfig | None = None
    """How to speak TLS, with `tcp://`. null: plain, which nobody but this machine should be able to reach."""

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ValueError("; ".join(problems))

    @property
    def where(self) -> str:
        """The engine as an operator knows it, before it is looked for; it holds no secret."""
        return f"context {self.context}" if self.context is not None else self.url or "the engine of this machine"

    def _problems(self) -> Iterator[str]:
        if self.name and not _NAME.fullmatch(self.name):
            yield "name: expected letters, digits and -_. only, found something else; try a host name"
        if self.url is not None and self.context is not None:
            yield "expected url or context, found both; keep one"
        if self.tls is not None and (self.url is None or self.url.startswith("unix://")):
            yield "tls: expected with a url of tcp:// only, found it elsewhere; remove tls"
        if self.url is None:
            return
        if "@" in self.url:
            yield "url: expected an address without user or password, found an @; addresses are logged"
        elif not self.url.startswith(SCHEMES) or self.url in SCHEMES:
            yield (
                f'url: expected one of {", ".join(SCHEMES)} and an address, found "{self.url}"; '
                f"try {DEFAULT_URL} (an engine behind ssh: forward its socket with ssh -L)"
            )
        elif self.url.startswith("unix://"):
            if not self.url.startswith("unix:///"):
                yield f'url: expected an absolute path after unix://, found "{self.url}"; try {DEFAULT_URL}'
        elif not _has_host_and_port(self.url):
            yield (
                f'url: expected a host and a port, found "{self.url}"; '
                "Docker's ports are 2375, and 2376 with TLS: try tcp://host:2376"
            )


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which engines to watch, how often to measure, and which labels may be seen."""

    engines: list[EngineConfig] = field(default_factory=lambda: [EngineConfig()])
    """The engines, each watched by itself: one that is down freezes none of the others."""

    labels: list[str] = []
    """Labels to publish besides those of Compose, Swarm, Kubernetes and OCI: whole names, or a beginning and `*`.
    None by default, since people put passwords into labels; what looks like a secret never gets out at all."""

    poll_interval_s: Annotated[float, Meta(ge=1)] = 10.0
    """Seconds from one measurement of the running containers to the next. Ten is what `docker stats` users call live
    at a tenth of its cost; an engine reads a container's cgroups each time."""

    resync_interval_s: Annotated[float, Meta(ge=1)] = 300.0
    """Seconds after which events are subscribed to anew and everything is read again, should an event have got lost."""

    request_timeout_s: Annotated[float, Meta(gt=0)] = 5.0
    """Seconds to wait for one answer. Engines under load take a second or two; five without a word is a stopped one."""

    def __post_init__(self) -> None:
        names = [engine.name for engine in self.engines]
        if not names:
            raise ValueError("engines: expected at least one engine, found none; try engines: [{}]")
        if len(set(names)) < len(names):
            raise ValueError(
                "engines: expected a name of its own for each engine (at most one may have none), found one twice; "
                "try engines: [{name: a, url: …}, {name: b, url: …}]"
            )
        if any("*" in label[:-1] or not label for label in self.labels):
            raise ValueError('labels: expected whole names or a beginning with one "*" after it, found another pattern')
