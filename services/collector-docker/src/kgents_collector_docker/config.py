"""The settings of this collector: read by `runtime.config` before source/ opens anything."""

import re
from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta, field

from kgents_collector_docker.detect import NO_CONTEXT, context_file
from kgents_shared.bus.files import TlsFiles
from kgents_shared.contract.section import Fault, Section, unusable_url

DEFAULT_URL: Final = "unix:///var/run/docker.sock"
_PORT: Final = re.compile(r":[0-9]+/?\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class TlsConfig(TlsFiles, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to speak TLS to an engine on TCP. The engine's certificate is always verified."""


class EngineConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One engine."""

    name: str = ""
    """Prefix of the names of its entities: `<name>/<own name>`. Empty: no prefix, for one engine at most."""

    url: str | None = None
    """`unix:///path/to/docker.sock` or `tcp://host:port`. null: the context's; without one, what is found on
    this machine, as for `docker`: DOCKER_HOST, the current context, `/var/run/docker.sock`, in this order."""

    context: str | None = None
    """A context of the `docker` command (`docker context ls`): its address and certificates."""

    tls: TlsConfig | None = None
    """How to speak TLS, with `tcp://`. null: plain, which only this machine should be able to reach."""

    @property
    def where(self) -> str:
        """The engine in messages, before its address is known; holds no secret."""
        return f"context {self.context}" if self.context is not None else self.url or "the engine of this machine"

    def faults(self) -> Iterator[Fault]:
        if self.name and not _NAME.fullmatch(self.name):
            yield Fault("name", "letters, digits and -_. only", "something else", "try: a host name")
        if self.url is not None and self.context is not None:
            yield Fault("url", "url or context", "both", "keep one", beside=("context",))
        if self.context == "":
            yield Fault("context", "the name of a context", "an empty text", "try: docker context ls")
        if self.tls is not None and (self.url is None or self.url.startswith("unix://")):
            yield Fault("tls", "a url of tcp:// beside it", "another one or none", "remove tls", beside=("url",))
        if self.url is not None:
            yield from _unusable_url(self.url)

    def check(self) -> Iterator[Fault]:
        if self.context in (None, "", NO_CONTEXT):
            return
        if not context_file(str(self.context), {}).is_file():
            yield Fault("context", "a context of the docker command", f'"{self.context}"', "try: docker context ls")


def _unusable_url(url: str) -> Iterator[Fault]:
    if url.startswith("ssh:"):
        advice = "forward its socket with ssh -L, and set url to unix:///path/of/it"
        yield Fault("url", "a url of unix://, tcp://, http:// or https://", "ssh://", advice)
    elif not url.startswith("unix:"):
        yield from unusable_url("url", url, ("tcp", "http", "https"), "tcp://host:2376, 2375 without TLS")
        if url.startswith("tcp:") and "@" not in url and not _PORT.search(url):
            yield Fault("url", "a host and a port", f'"{url}"', "try: tcp://host:2376, 2375 without TLS")
    elif not url.startswith("unix:///") or url == "unix:///":
        yield Fault("url", "an absolute path after unix://", f'"{url}"', f"try: {DEFAULT_URL}")


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which engines to watch, how often to measure, and which labels to publish."""

    engines: list[EngineConfig] = field(default_factory=lambda: [EngineConfig()])
    """The engines. Each is watched by itself: one that is down does not block the others."""

    labels: list[str] = []
    """Labels to publish besides those of Compose, Swarm, Kubernetes and OCI: whole names, or a beginning and `*`.
    None by default, since people put passwords into labels; a value that resembles a secret is never published."""

    poll_interval_s: Annotated[float, Meta(ge=1)] = 10.0
    """Seconds from one measurement of the running containers to the next. Ten seconds are
    a tenth of the cost of `docker stats`; an engine reads a container's cgroups each time."""

    resync_interval_s: Annotated[float, Meta(ge=1)] = 300.0
    """Seconds after which events are subscribed to and everything is read again, in case an event was lost."""

    request_timeout_s: Annotated[float, Meta(gt=0)] = 5.0
    """Seconds to wait for one answer. Engines under load take a second or two; after five it is stopped."""

    def faults(self) -> Iterator[Fault]:
        names = [engine.name for engine in self.engines]
        if not names:
            yield Fault("engines", "at least one engine", "none", "try: engines: [{}]")
        for place, name in enumerate(names):
            if name in names[:place]:
                expected = "a name of its own for each engine (at most one may have none)"
                other = f"engines[{names.index(name)}].name"
                found = f"that of engines[{names.index(name)}]"
                yield Fault(f"engines[{place}].name", expected, found, "try: a host name", beside=(other,))
        for place, label in enumerate(self.labels):
            if not label or "*" in label[:-1]:
                expected = 'a whole name, or a beginning with one "*" after it'
                yield Fault(f"labels[{place}]", expected, f'"{label}"', "try: com.example.*")
