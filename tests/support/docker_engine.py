"""A real Docker engine for tests: Debian's packages, a private dockerd with its own everything, one tiny image.

Nothing of it touches an engine that already runs on this machine: socket, data, containerd and networks are its own,
and it changes no firewall. It is started once, by the first test that asks, and taken away when the process ends.
"""

import asyncio
import atexit
import contextlib
import functools
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import trustme

from support import docker_reaper
from support.ports import free_port
from support.programs import find, why_missing
from support.waiting import eventually_blocking

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
REMOVE_TIMEOUT_S = 120.0
"""For what a test left in images: hundreds of megabytes in thousands of files, on a busy disk."""
IMAGE = "kgents-test:1"
TOOLS = ("sh", "sleep", "true", "false", "cat", "rm", "touch", "test", "httpd", "yes", "kill")
NAME = f"kgt{os.getpid()}"
"""Of our control group, and how the bridges of our networks begin: distinct from all others, to be removed."""
CLEAR_TOGETHER = 4
"""Containers removed at a time: dozens of network sandboxes torn down at once can lock up this engine for good."""


class NoEngineError(Exception):
    """Why there is no engine here; tests skip with this."""


class DockerEngine:
    """A dockerd. `docker_engine()` gives the one of this process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "docker.sock"
        self.log = directory / "dockerd.log"
        self.port = free_port()
        self._driver: list[str] = []
        self._has_run = False
        self._process: subprocess.Popen[bytes] | None = None
        self._make_certificates()
        command = [sys.executable, str(Path(docker_reaper.__file__)), str(directory), NAME]
        self._reaper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def tls_url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def tls(self) -> dict[str, str]:
        """Our own side of TLS, as a setting."""
        return {f"{name}_file": str(self.directory / f"{name}.pem") for name in ("ca", "cert", "key")}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def cpu_s(self) -> float:
        """Processor time of dockerd and its containerd so far."""
        ticks = 0
        for pid in (self.pid, int(self._containerd_pid.read_text())):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    # The process

    def start(self) -> None:
        """Start, or start again with the same data."""
        try:
            self._start()
        except NoEngineError:
            if self._driver or self._has_run:
                raise
            self._driver = ["--storage-driver", "vfs"]  # a container's own file system bears no overlay
            shutil.rmtree(self.directory / "data", ignore_errors=True)
            self._start()
        self._has_run = True

    def stop(self) -> None:
        """An orderly shutdown: the engine ends its containers."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9 of dockerd and its containerd: containers live on, and are found again at the next start."""
        self._end(signal.SIGKILL)
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(self._containerd_pid.read_text()), signal.SIGKILL)
        # Where no process reaps zombies, the next dockerd would take this one for alive, and wait for it.
        self._containerd_pid.unlink(missing_ok=True)

    def pause(self) -> None:
        """SIGSTOP: the socket takes connections and does not answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def hang(self, id_: str) -> "Hung":
        """SIGSTOP to the shim of a container: its processes run on, and the engine gets no answer about it."""
        found = [pid for pid in docker_reaper.processes_of(self.directory) if _is_shim_of(pid, id_)]
        return Hung(found)

    def remove(self) -> None:
        """Leave nothing behind: no process, no mount, no bridge, no file."""
        assert self._reaper.stdin is not None
        self._reaper.stdin.close()
        self._reaper.wait(REMOVE_TIMEOUT_S)

    @property
    def _containerd_pid(self) -> Path:
        return self.directory / "exec" / "containerd" / "containerd.pid"

    def _start(self) -> None:
        command = [
            "dockerd", "--host", self.url, "--host", self.tls_url, "--tlsverify",
            "--tlscacert", str(self.directory / "ca.pem"),
            "--tlscert", str(self.directory / "server.pem"), "--tlskey", str(self.directory / "server-key.pem"),
            "--data-root", str(self.directory / "data"), "--exec-root", str(self.directory / "exec"),
            "--pidfile", str(self.directory / "dockerd.pid"),
            "--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
            "--default-address-pool", "base=10.217.0.0/16,size=24", "--shutdown-timeout", "2",
            "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{NAME}",
            "--log-level", "warn", *self._driver,
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        started = self._process
        if not eventually_blocking(lambda: started.poll() is not None or self._answers(), START_TIMEOUT_S):
            self.kill()
        if started.poll() is not None:
            lines = self.log.read_text(errors="replace").strip().splitlines() or ["no log"]
            raise NoEngineError(f"dockerd did not start here: {lines[-1][:300]}")

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1)
                probe.connect(str(self.socket))
                probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b"200 OK" in probe.recv(200)
        except OSError:
            return False

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _make_certificates(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.directory / "ca.pem")
        server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("kgents-test")
        for name, issued in (("server", server), ("cert", client)):
            issued.cert_chain_pems[0].write_to_path(self.directory / f"{name}.pem")
        server.private_key_pem.write_to_path(self.directory / "server-key.pem")
        client.private_key_pem.write_to_path(self.directory / "key.pem")

    # What is on it

    async def clear(self) -> None:
        """Remove every container, network and volume."""
        async with self.api() as api:
            slots = asyncio.Semaphore(CLEAR_TOGETHER)

            async def remove(id_: str) -> None:
                async with slots:
                    await api.call("DELETE", f"containers/{id_}?force=1&v=1", may_fail=True)

            async with asyncio.TaskGroup() as tasks:
                for each in await api.get("containers/json?all=1"):
                    tasks.create_task(remove(each["Id"]))
            for each in await api.get("networks"):
                if each["Name"] not in ("bridge", "host", "none"):
                    await api.call("DELETE", f"networks/{each['Id']}", may_fail=True)
            for each in (await api.get("volumes"))["Volumes"] or []:
                await api.call("DELETE", f"volumes/{each['Name']}?force=1", may_fail=True)

    @asynccontextmanager
    async def api(self) -> AsyncIterator["Api"]:
        """The engine's API, to create and remove objects with."""
        connector = aiohttp.UnixConnector(str(self.socket), limit=64)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
            yield Api(http)

    async def import_image(self, name: str = IMAGE, *changes: str) -> None:
        """A busybox and a few names for it; `changes` are lines of a Dockerfile."""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            tar.add("/bin/busybox", "bin/busybox")
            for tool in TOOLS:
                link = tarfile.TarInfo(f"bin/{tool}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        async with self.api() as api:
            await api.import_image(content.getvalue(), name, *changes)


class Hung:
    """`with engine.hang(id_):` and the shim goes on at the end."""

    def __init__(self, shims: list[int]) -> None:
        assert len(shims) == 1
        self._pid = shims[0]

    def __enter__(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGCONT)


def _is_shim_of(pid: int, id_: str) -> bool:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b"shim" in words[0] and os.fsencode(id_) in words
    return False


class Api:
    """What the `docker` command does, as far as tests need it."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def call(self, method: str, path: str, body: object = None, *, may_fail: bool = False) -> Any:
        data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body or {}).encode())
        kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
        headers = {"Content-Type": kind} if method == "POST" else {}
        request = self._http.request(
            method, f"http://docker/{path}", data=data if method == "POST" else None, headers=headers
        )
        async with request as response:
            text = await response.text()
            if response.status >= 400 and not may_fail:
                raise RuntimeError(f"{method} {path}: HTTP {response.status}: {text}")
            return json.loads(text) if text.strip().startswith(("{", "[")) and "\n{" not in text else None

    async def get(self, path: str) -> Any:
        return await self.call("GET", path)

    async def import_image(self, tar: bytes, name: str, *changes: str) -> None:
        repository, _, tag = name.partition(":")
        more = "".join(f"&changes={quote(change)}" for change in changes)
        await self.call("POST", f"images/create?fromSrc=-&repo={repository}&tag={tag}{more}", tar)

    async def create(self, name: str, *command: str, host: dict[str, Any] | None = None, **config: Any) -> str:
        """A container, not started; `config` and `host` are the API's own. Returns its id."""
        body = {
            "Image": IMAGE,
            "Cmd": list(command) or ["sleep", "1000"],
            "StopTimeout": 0,
            **config,
            "HostConfig": {"NetworkMode": "none", **(host or {})},
        }
        return str((await self.call("POST", f"containers/create?name={name}", body))["Id"])

    async def run(self, name: str, *command: str, host: dict[str, Any] | None = None, **config: Any) -> str:
        """A container that was started; returns its id."""
        id_ = await self.create(name, *command, host=host, **config)
        await self.call("POST", f"containers/{id_}/start")
        return id_

    async def do(self, name: str, action: str) -> None:
        """`stop`, `kill?signal=9`, `pause`, `rename?name=…`"""
        await self.call("POST", f"containers/{name}/{action}")

    async def remove(self, name: str) -> None:
        await self.call("DELETE", f"containers/{name}?force=1&v=1")

    async def inspect(self, name: str) -> Any:
        return await self.get(f"containers/{name}/json")

    async def network(self, name: str, **labels: str) -> str:
        """A bridge network; returns its id."""
        bridge = f"{NAME}-{time.monotonic_ns() // 1000 % 10_000:x}"[:15]
        body = {"Name": name, "Labels": labels, "Options": {"com.docker.network.bridge.name": bridge}}
        return str((await self.call("POST", "networks/create", body))["Id"])

    async def volume(self, name: str, **labels: str) -> None:
        await self.call("POST", "volumes/create", {"Name": name, "Labels": labels})


def docker_engine() -> DockerEngine:
    """The engine of this process, running.

    Raises:
        NoEngineError: there can be none on this machine; the text says why.
    """
    engine = _engine()
    if isinstance(engine, NoEngineError):
        raise engine
    return engine


@functools.cache
def _engine() -> DockerEngine | NoEngineError:
    try:
        return _make_engine()
    except NoEngineError as error:
        return error  # and do not try again for each test


def _make_engine() -> DockerEngine:
    if os.geteuid() != 0:
        raise NoEngineError("a private dockerd needs root")
    for program in ("dockerd", "/bin/busybox"):
        if find(program) is None:
            raise NoEngineError(why_missing(program))
    directory = Path(tempfile.mkdtemp(prefix="kgents-docker-"))
    directory.chmod(0o755)  # tests read the socket as a user who may not use it
    engine = DockerEngine(directory)
    atexit.register(engine.remove)
    engine.start()
    try:
        _await(_try_out(engine))
    except (RuntimeError, aiohttp.ClientError, TimeoutError) as error:
        raise NoEngineError(f"dockerd runs no containers here: {str(error)[:300]}") from error
    return engine


def _await(work: Coroutine[Any, Any, None]) -> None:
    """Do the work now, also where a loop already runs."""
    failures: list[BaseException] = []

    def do() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that asked
            failures.append(error)

    if asyncio._get_running_loop() is None:
        do()
    else:
        thread = threading.Thread(target=do)
        thread.start()
        thread.join()
    if failures:
        raise failures[0]


async def _try_out(engine: DockerEngine) -> None:
    await engine.import_image()
    async with engine.api() as api:
        id_ = await api.run("trial", "true")
        await api.call("POST", f"containers/{id_}/wait")
        await api.remove(id_)
