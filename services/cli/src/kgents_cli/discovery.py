"""What runs on this machine and could be observed: sockets and files → findings. Nothing is sent, no secret is read."""

import os
import socket
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

CONNECT_S: Final = 0.3
"""A listener on this machine answers in well under a millisecond."""


class Unusable(str):
    """A place where there is something, but not as a collector needs it."""

    __slots__ = ()


class Finding(msgspec.Struct, frozen=True):
    """One kind of thing that a collector may observe."""

    name: str
    where: str
    """Where it was found; empty: it was not."""
    collector: str
    """The service that observes it."""
    is_installed: bool
    """Whether that service is installed."""
    needs: str
    """What was looked for."""

    @property
    def text(self) -> str:
        """What a person needs to know of it."""
        if not self.where:
            return f"not found: {self.needs}"
        if isinstance(self.where, Unusable):
            return f"found: {self.where}; {self.needs}"
        if self.is_installed:
            return f"found: {self.where}; {self.collector} is installed"
        return f"found: {self.where}; {self.collector} is not installed in this version"


def look(environ: Mapping[str, str], installed: Collection[str]) -> list[Finding]:
    """Everything looked for on this machine, found or not."""
    return [
        Finding(name, find(environ), collector, collector in installed, needs)
        for name, find, collector, needs in _PLACES
    ]


def useful(environ: Mapping[str, str], installed: Collection[str], addressed: Collection[str]) -> list[str]:
    """The services that have something to do here: all but collectors of what was looked for and not usable.

    Args:
        environ: the variables.
        installed: the services there are.
        addressed: those that the configuration says something to: what they observe may be elsewhere.
    """
    findings = look(environ, installed)
    present = {finding.collector for finding in findings if finding.where and not isinstance(finding.where, Unusable)}
    present |= set(addressed)
    absent = {finding.collector for finding in findings} - present
    return [name for name in installed if name not in absent]


def _docker(environ: Mapping[str, str]) -> str:
    """In the order in which collector-docker looks."""
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    context = environ.get("DOCKER_CONTEXT") or _docker_context(home / ".docker" / "config.json")
    if context not in ("", "default"):
        return f"context {context} of the docker command"
    if host := environ.get("DOCKER_HOST"):
        # It may hold a user's name, as in ssh://me@host; that is not ours to print.
        return f"DOCKER_HOST at {host.rpartition('@')[2].removeprefix('ssh://')}"
    return _unix_socket("/var/run/docker.sock") or _unix_socket(str(home / ".docker" / "run" / "docker.sock"))


def _docker_context(path: Path) -> str:
    """The name of the context in use; empty without one. The rest of the file may be logins."""
    try:
        document: Any = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return ""
    context = document.get("currentContext") if isinstance(document, dict) else None
    return context if isinstance(context, str) else ""


def _kubernetes(environ: Mapping[str, str]) -> str:
    given = environ.get("KUBECONFIG", "")
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    paths = [Path(path) for path in given.split(os.pathsep) if path] or [home / ".kube" / "config"]
    for path in paths:
        if path.is_file():
            return _kubeconfig(path)
    return ""


def _kubeconfig(path: Path) -> str:
    """Its path and the name of the context in use; the rest of the file is secrets."""
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return Unusable(f"{path} (it cannot be read)")
    context = document.get("current-context") if isinstance(document, dict) else None
    if not isinstance(context, str) or not context:
        return Unusable(f"{path} (no current context)")
    return f"{path} (context {context})"


def _postgresql(_: Mapping[str, str]) -> str:
    return _port(5432) or _unix_socket("/var/run/postgresql/.s.PGSQL.5432")


def _redis(_: Mapping[str, str]) -> str:
    return _port(6379)


def _qdrant(_: Mapping[str, str]) -> str:
    return _port(6333)


def _otlp(_: Mapping[str, str]) -> str:
    return _port(4317) or _port(4318)


def _port(port: int) -> str:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=CONNECT_S):
            return f"127.0.0.1:{port}"
    except OSError:
        return ""


def _unix_socket(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_S)
        try:
            probe.connect(path)
        except PermissionError:
            return f"{path} (this user may not use it)"
        except OSError:
            return ""
        return path


_PLACES: Final[tuple[tuple[str, Callable[[Mapping[str, str]], str], str, str], ...]] = (
    ("Docker", _docker, "collector-docker", "needs /var/run/docker.sock, or DOCKER_HOST"),
    ("Kubernetes", _kubernetes, "collector-k8s", "needs ~/.kube/config, or KUBECONFIG, with a current context"),
    ("PostgreSQL", _postgresql, "collector-db", "needs a server on 127.0.0.1:5432 or in /var/run/postgresql"),
    ("Redis", _redis, "collector-db", "needs a server on 127.0.0.1:6379"),
    ("Qdrant", _qdrant, "collector-db", "needs a server on 127.0.0.1:6333"),
    ("OpenTelemetry", _otlp, "collector-otel", "needs an OTLP receiver on 127.0.0.1:4317 or 4318"),
)
"""Name, where it is (empty: nowhere), who observes it, what was looked for."""
