"""Finds the engine of the `docker` command: environment, context, well-known sockets → Detected, and `connect`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field

from kgents_shared.runtime.detect import Detected, socket_problem

SCHEMES: Final = ("unix://", "tcp://", "http://", "https://")
NO_CONTEXT: Final = "default"
"""What the `docker` command calls it when there is no context: DOCKER_HOST, or a well-known socket."""
FORWARD: Final = (
    "forward its socket (ssh -N -L /tmp/docker.sock:/var/run/docker.sock user@host) and set engines[].url to "
    "unix:///tmp/docker.sock"
)
_NEEDS: Final = "/var/run/docker.sock, DOCKER_HOST, or a context of the docker command"


def host(environ: Mapping[str, str]) -> str:
    """DOCKER_HOST, which takes precedence over every context; empty counts as unset, as for the `docker` command."""
    return environ.get("DOCKER_HOST", "")


def context(environ: Mapping[str, str]) -> str:
    """The context in use; empty without one.

    Raises:
        ValueError: the configuration of the `docker` command cannot be read. It may hold logins: it is not quoted.
    """
    given = environ.get("DOCKER_CONTEXT") or _current_context(_home(environ) / ".docker" / "config.json")
    return "" if given == NO_CONTEXT else given


def context_file(name: str, environ: Mapping[str, str]) -> Path:
    """Where the `docker` command keeps a context: under the hash of its name."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return _home(environ) / ".docker" / "contexts" / "meta" / digest / "meta.json"


def sockets(environ: Mapping[str, str]) -> list[Path]:
    """Where engines listen by default, in the order in which they are tried."""
    paths = [Path("/run/docker.sock"), Path("/var/run/docker.sock"), _home(environ) / ".docker" / "run" / "docker.sock"]
    return [path for path in paths if path.is_socket()]


def detect(environ: Mapping[str, str]) -> list[Detected]:
    """The engine that is collected when nothing is configured."""
    return [_detected(environ)]


def _detected(environ: Mapping[str, str]) -> Detected:
    if given := host(environ):
        return _given(given)
    try:
        if name := context(environ):
            return _of_context(name, context_file(name, environ))
    except ValueError:
        return Detected("Docker", "~/.docker/config.json", "it cannot be read", "a file that `docker context ls` reads")
    problems = ((path, socket_problem(path)) for path in sockets(environ))
    path, problem = next(((path, problem) for path, problem in problems if problem is not None), (None, ""))
    if path is None:
        return Detected("Docker", needs=_NEEDS)
    return Detected("Docker", str(path), problem or "", "membership of the socket's group, or root")


def _given(docker_host: str) -> Detected:
    where = f"DOCKER_HOST at {docker_host.rpartition('@')[2].removeprefix('ssh://')}"  # without the user's name
    if docker_host.startswith("ssh://"):
        return Detected("Docker", where, "it is behind ssh", FORWARD)
    if not docker_host.startswith(SCHEMES):
        return Detected("Docker", "DOCKER_HOST", "it is no address", f"an address of {', '.join(SCHEMES)}")
    return Detected("Docker", where)


def _of_context(name: str, path: Path) -> Detected:
    where, needs = f"context {name} of the docker command", "a context that `docker context ls` shows"
    try:
        host = msgspec.json.decode(path.read_bytes(), type=_Context).endpoints.docker.host
    except (OSError, msgspec.DecodeError):
        return Detected("Docker", where, "it cannot be read", needs)
    if host.startswith("ssh://"):
        return Detected("Docker", where, "it is behind ssh", FORWARD)
    return Detected("Docker", where)


class _Endpoint(Struct, frozen=True):
    host: str = field(name="Host")


class _Endpoints(Struct, frozen=True):
    docker: _Endpoint


class _Context(Struct, frozen=True):
    """What is read of a context."""

    endpoints: _Endpoints = field(name="Endpoints")


class _DockerConfig(Struct, frozen=True):
    """What is read of ~/.docker/config.json. The rest may be logins."""

    current_context: str = field(name="currentContext", default="")


def _current_context(path: Path) -> str:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_DockerConfig).current_context
    except FileNotFoundError:
        return ""
    except (OSError, msgspec.DecodeError):
        raise ValueError("expected a configuration of the docker command, found another file") from None


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()
