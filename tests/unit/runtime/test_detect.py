"""What each collector finds on a machine, without a secret in it, and without importing its client library."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from kgents_collector_db import detect as db
from kgents_collector_docker import detect as docker
from kgents_collector_k8s import detect as k8s
from kgents_collector_nats import detect as nats
from kgents_collector_nats.config import Config
from kgents_shared.runtime.detect import Detected, answer, listens, socket_problem
from support.ports import free_port

CANARY = "canary-7c1"
LIBRARIES = {
    "aiodocker", "aiohttp", "asyncpg", "kubernetes_asyncio", "nats", "qdrant_client", "redis", "kgents_shared.bus",
}  # fmt: skip


def detected(module: object, environ: dict[str, str], name: str) -> Detected:
    found: list[Detected] = module.detect(environ)  # type: ignore[attr-defined]
    assert CANARY not in repr(found)
    return next(each for each in found if each.name == name)


@contextmanager
def listening(where: tuple[str, int] | Path, reply: bytes = b"") -> Iterator[None]:
    """A server that answers the first request of each connection."""
    family = socket.AF_UNIX if isinstance(where, Path) else socket.AF_INET
    with socket.socket(family) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(str(where) if isinstance(where, Path) else where)
        server.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    if connection.recv(64):
                        connection.sendall(reply)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("package", ["db", "docker", "k8s", "nats"])
def test_detection_imports_no_client_library(package: str) -> None:
    code = f"import sys, kgents_collector_{package}.detect; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & LIBRARIES


# Docker


def test_the_environment_is_before_a_context_as_for_the_docker_command(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    config, environ = tmp_path / ".docker" / "config.json", {"HOME": str(tmp_path)}
    config.write_text(json.dumps({"auths": {"x": {"auth": CANARY}}, "currentContext": "prod"}))
    make_context("prod", "tcp://prod:2376", environ)
    assert detected(docker, environ, "Docker") == Detected("Docker", "context prod of the docker command")
    assert docker.context({**environ, "DOCKER_CONTEXT": "lab"}) == "lab"
    given = {**environ, "DOCKER_HOST": f"tcp://{CANARY}@b:2375", "DOCKER_CONTEXT": "lab"}
    assert detected(docker, given, "Docker") == Detected("Docker", "DOCKER_HOST at b:2375")


def make_context(name: str, host: str, environ: dict[str, str]) -> None:
    path = docker.context_file(name, environ)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))


def test_a_context_that_the_collector_cannot_use_is_not_usable(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "DOCKER_CONTEXT": "lab"}
    assert detected(docker, environ, "Docker").problem == "it cannot be read"
    make_context("lab", f"ssh://{CANARY}@lab", environ)
    assert detected(docker, environ, "Docker").problem == "it is behind ssh"


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"DOCKER_HOST": f"ssh://{CANARY}@build-1"}, "it is behind ssh"),
        ({"DOCKER_HOST": CANARY}, "it is no address"),
    ],
)
def test_an_engine_that_the_collector_cannot_reach_is_not_usable(environ: dict[str, str], problem: str) -> None:
    found = detected(docker, environ, "Docker")
    assert (found.problem, found.is_usable) == (problem, False)
    assert found.needs


@pytest.mark.parametrize("content", ["[]", CANARY, '{"currentContext": 1}'])
def test_a_file_of_the_docker_command_that_cannot_be_read_is_named_without_its_content(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(content)
    assert detected(docker, {"HOME": str(tmp_path)}, "Docker").problem == "it cannot be read"


def test_a_socket_counts_when_somebody_listens_there(tmp_path: Path) -> None:
    folder = tmp_path / ".docker" / "run"
    folder.mkdir(parents=True)
    path = folder / "docker.sock"
    with listening(path):
        assert docker.sockets({"HOME": str(tmp_path)})[-1] == path
        assert socket_problem(path) == ""
    assert socket_problem(path) is None
    assert socket_problem(tmp_path / "none") is None


# Kubernetes


def kubeconfig(path: Path, current: str = "", *contexts: str) -> Path:
    path.write_text(
        json.dumps(
            {
                "current-context": current,
                "contexts": [{"name": name} for name in contexts],
                "users": [{"name": "me", "user": {"token": CANARY}}],
            }
        )
    )
    return path


def test_of_several_kubeconfigs_the_first_that_names_a_context_decides(tmp_path: Path) -> None:
    one = kubeconfig(tmp_path / "one", "", "prod-eu")
    two = kubeconfig(tmp_path / "two", "prod-eu", "lab")
    three = kubeconfig(tmp_path / "three", "lab")
    listed = os.pathsep.join(map(str, (one, tmp_path / "missing", two, three)))
    found = detected(k8s, {"KUBECONFIG": listed}, "Kubernetes")
    assert found == Detected("Kubernetes", f"{one}:{two}:{three} (context prod-eu)")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "it has no current context"),
        ("[1]", "it has no current context"),
        (f"a: [{CANARY}", "it cannot be read"),
        ("current-context: gone\ncontexts: [1, {name: lab}]", "it has no context gone"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_says_why(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "config").write_text(content)
    found = detected(k8s, {"KUBECONFIG": str(tmp_path / "config")}, "Kubernetes")
    assert (found.where, found.problem) == (str(tmp_path / "config"), problem)


def test_without_a_variable_the_kubeconfig_is_in_the_home_directory(tmp_path: Path) -> None:
    assert not detected(k8s, {"HOME": str(tmp_path)}, "Kubernetes").where
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config", "lab", "lab")
    assert "(context lab)" in detected(k8s, {"HOME": str(tmp_path), "KUBECONFIG": ""}, "Kubernetes").where


def test_in_a_pod_its_service_account_is_before_every_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(k8s, "SERVICE_ACCOUNT", kubeconfig(tmp_path / "token"))
    assert detected(k8s, {"HOME": str(tmp_path)}, "Kubernetes").where == "the service account of this pod"


# Databases and NATS


def test_a_postgresql_is_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "POSTGRES_SOCKETS", tmp_path)
    monkeypatch.setattr(db, "POSTGRES_TCP", ("127.0.0.1", free_port()))
    assert not detected(db, {}, "PostgreSQL").where
    (tmp_path / ".s.PGSQL.5433.lock").touch()
    with listening(tmp_path / ".s.PGSQL.5433"):
        assert db.postgres_ports() == [5433]
        assert detected(db, {}, "PostgreSQL") == Detected("PostgreSQL", str(tmp_path / ".s.PGSQL.5433"))
    with listening(db.POSTGRES_TCP):
        found = detected(db, {}, "PostgreSQL")
        assert (found.problem, found.is_usable) == (f"it has no socket in {tmp_path}", False)


@pytest.mark.parametrize(
    ("reply", "problem"), [(b"+PONG\r\n", ""), (b"-NOAUTH Authentication required.\r\n", "it requires a password")]
)
def test_a_redis_that_wants_a_password_is_shown_with_that_problem(
    monkeypatch: pytest.MonkeyPatch, reply: bytes, problem: str
) -> None:
    monkeypatch.setattr(db, "REDIS", ("127.0.0.1", free_port()))
    assert not detected(db, {}, "Redis").where
    with listening(db.REDIS, reply):
        found = detected(db, {}, "Redis")
        assert (found.problem, found.is_usable) == (problem, True)


def test_a_silent_server_is_waited_for_no_longer_than_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        assert listens(host, port)
        assert answer(host, port, b"PING\r\n") == b""


def test_nats_is_the_monitoring_port_that_the_collector_asks_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Config().monitor_urls == [nats.MONITOR_URL]
    monkeypatch.setattr(nats, "PORT", free_port())
    assert not detected(nats, {}, "NATS").where
    with listening((nats.HOST, nats.PORT)):
        assert detected(nats, {}, "NATS").is_usable
