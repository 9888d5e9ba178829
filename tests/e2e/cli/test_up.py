"""`kgents up`: everything on one machine, and nothing of it left behind."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import nats
import pytest
from nats.aio.client import Client

from kgents_cli.children import process_group
from kgents_cli.embedded import embedded_server
from support import kube_objects
from support.build import make_entity
from support.docker_watched import engine_or_skip
from support.kgents_command import PROGRAM, Result, publish, result_of, run_kgents, start_kgents
from support.kube_api import KubeApi
from support.nats_server import NatsServer
from support.process import command_line, descendants, is_alive
from support.waiting import MACHINE, eventually, within

ONLY_BUILDER = ("--only", "topology-builder")


class Up:
    """A running `kgents up`, as seen from outside."""

    def __init__(self, process: asyncio.subprocess.Process, first_line: str) -> None:
        self.process = process
        self.first_line = first_line
        self.url = next(word for word in first_line.split() if word.startswith("nats://"))

    def children(self, program: str = "") -> list[int]:
        """The processes that it started, as far as their command lines name this program."""
        return [pid for pid in descendants(self.process.pid) if program in command_line(pid)]

    async def end(self, number: signal.Signals) -> Result:
        self.process.send_signal(number)
        return await result_of(self.process)


@asynccontextmanager
async def running_up(directory: Path, *args: str) -> AsyncIterator[Up]:
    process = await start_kgents("up", "--data", str(directory), *args)
    assert process.stdout is not None
    try:
        async with within(30):
            yield Up(process, (await process.stdout.readline()).decode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_the_whole_pipeline_shows_the_server_it_runs_on(tmp_path: Path) -> None:
    missing = {"on this machine", "● nats_server kgents  running  healthy 1.00", "→ runs_on nats_server kgents"}
    async with running_up(tmp_path) as up:
        client = await nats.connect(up.url)
        subscription = await client.jetstream().subscribe(
            "kgents.topology.local.*.*.*", stream="KGENTS_TOPOLOGY", ordered_consumer=True
        )
        seen: set[tuple[str, str]] = set()
        while not {("nats_server", "kgents"), ("nats_stream", "KGENTS_TOPOLOGY")} <= seen:
            ref = json.loads((await subscription.next_msg(timeout=MACHINE.limit_s(10))).data)["ref"]
            seen.add((ref["kind"], ref["name"]))
        await client.close()
        assert up.process.stdout is not None
        while missing:
            line = (await up.process.stdout.readline()).decode()
            assert line, f"it ended without {missing}"
            missing -= {each for each in missing if line.rstrip("\n").endswith(each)}
        started = up.children()
        code, _, err = await up.end(signal.SIGTERM)
    assert code == 0, err
    assert {json.loads(line)["service"] for line in err.splitlines()} >= {"collector-nats", "health-scorer"}
    assert not [pid for pid in started if is_alive(pid)]


async def test_the_address_that_is_printed_answers_also_where_the_usual_port_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # if it is taken already, that is as good
            other.bind(("127.0.0.1", 7780))
            other.listen()
        async with running_up(tmp_path, "--only", "gateway") as up, httpx.AsyncClient() as client:
            address = ""
            while "gateway  http://" not in address:
                assert up.process.stdout is not None
                address = (await up.process.stdout.readline()).decode()

            async def answers() -> bool:
                try:
                    response = await client.get(httpx.URL(address.split()[-1]).join("/api/infra/topology"))
                except httpx.TransportError:
                    return False
                return response.status_code == 200 and response.json()["count"] == 0

            await eventually(answers)
            assert not address.split()[-1].startswith("http://127.0.0.1:7780/")
            assert (await up.end(signal.SIGTERM)).code == 0


@pytest.mark.parametrize("named_by", ["KUBECONFIG", "HOME"])
async def test_the_cluster_of_a_kubeconfig_is_named_before_it_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named_by: str
) -> None:
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    async with KubeApi() as api:
        api.create(kube_objects.namespace("shop"))
        for content in kube_objects.deployment("cart", "shop", replicas=2):
            api.create(content)
        kubeconfig = api.kubeconfig(home / ".kube" / "config")
        if named_by == "KUBECONFIG":
            monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        else:
            monkeypatch.delenv("KUBECONFIG")
            monkeypatch.setenv("HOME", str(home))
        services = "collector-k8s,topology-builder"
        async with running_up(tmp_path / "data", "--only", services) as up:
            assert up.process.stdout is not None
            said = ""
            while f"{kubeconfig} (context test)" not in said:
                said = (await up.process.stdout.readline()).decode()
            assert not api.calls  # it was said first
            missing = {pod["metadata"]["name"] for pod in api.objects("pods")}
            while missing:
                said = (await up.process.stdout.readline()).decode()
                missing -= {name for name in missing if f"pod shop/{name}" in said}
            code, _, err = await up.end(signal.SIGTERM)
    assert code == 0, err


async def test_a_kubeconfig_without_a_context_is_reported_and_stops_no_other_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("users: [{name: me, user: {token: canary-7c1}}]\n")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    async with running_up(tmp_path / "data", "--duration", f"{MACHINE.limit_s(6):.0f}") as up:
        code, out, err = await result_of(up.process)
    assert code == 0, err
    assert f"found: {kubeconfig}, but it has no current context; needs" in out
    assert "collector-k8s" not in err
    assert "canary-7c1" not in out + err


async def test_json_is_nothing_but_messages(server: NatsServer, client: Client, tmp_path: Path) -> None:
    await publish(client, make_entity())
    data = tmp_path / "data"
    process = await start_kgents("up", "--data", str(data), *ONLY_BUILDER, "--nats", server.url, "-o", "json")
    assert process.stdout is not None
    async with within(30):
        first = await process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    code, rest, _ = await result_of(process)
    assert (code, rest) == (0, "")
    assert json.loads(first)["text"] == "pod shop/cart-7f appeared: running"
    assert not (data / "nats.conf").exists()


async def test_kill_9_leaves_nothing_running(tmp_path: Path) -> None:
    async with running_up(tmp_path, *ONLY_BUILDER) as up:
        await eventually(lambda: bool(up.children("run topology-builder")))
        started = up.children()
        up.process.kill()
        await up.process.communicate()
    assert len(started) >= 3  # the keeper, nats-server, topology-builder
    await eventually(lambda: not [pid for pid in started if is_alive(pid)], within_s=5)


async def test_a_second_one_on_the_same_data_is_refused(tmp_path: Path) -> None:
    async with running_up(tmp_path, *ONLY_BUILDER) as up:
        code, out, err = await run_kgents("up", "--data", str(tmp_path))
        assert (code, out) == (1, "")
        assert err.startswith(f"kgents: another `kgents up` uses {tmp_path}")
        assert (await up.end(signal.SIGTERM)).code == 0


async def test_ctrl_c_ends_everything_in_good_order(tmp_path: Path) -> None:
    async with running_up(tmp_path, *ONLY_BUILDER) as up:
        await eventually(lambda: bool(up.children("run topology-builder")))
        started = up.children()
        code, _, err = await up.end(signal.SIGINT)
    assert code == 130
    assert "Traceback" not in err
    assert not [pid for pid in started if is_alive(pid)]


def _is_bound(listener: socket.socket, port: int) -> bool:
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


@pytest.mark.timeout(120)
async def test_a_default_port_that_is_taken_is_said_with_the_line_that_helps(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await eventually(lambda: _is_bound(other, 4222), within_s=60)  # another test may have it just now
        other.listen()
        async with running_up(tmp_path, *ONLY_BUILDER) as up:
            assert up.process.stdout is not None
            lines = [(await up.process.stdout.readline()).decode() for _ in range(3)]
            found = subprocess.run(
                ["sh", "-c", f"{lines[1].strip()}\n{PROGRAM} get all"], capture_output=True, text=True, check=False
            )
            await up.end(signal.SIGTERM)
    assert lines[0].startswith("▲ port 4222 is in use by another program")
    assert lines[1].strip() == f"export KGENTS__NATS__URL={up.url}"
    assert lines[2].strip().endswith("kgents up --nats nats://127.0.0.1:4222")
    assert (found.returncode, found.stderr) == (
        0,
        "no entity is published yet; see which collectors report with `kgents doctor`\n",
    )


async def test_servers_that_start_at_the_same_moment_have_a_port_each(tmp_path: Path) -> None:
    """Each of them has found the usual one free, unless another program has it."""
    async with process_group() as group, AsyncExitStack() as stack:
        directories = [tmp_path / name for name in ("one", "two", "three")]
        for each in directories:
            each.mkdir()
        servers = await asyncio.gather(
            *(stack.enter_async_context(embedded_server(each, group)) for each in directories)
        )
        assert len({each.url for each in servers}) == 3


async def test_a_process_that_dies_is_restarted(tmp_path: Path) -> None:
    async with running_up(tmp_path, *ONLY_BUILDER) as up:
        await eventually(lambda: bool(up.children("run topology-builder")))
        (builder,) = up.children("run topology-builder")
        (server,) = up.children("nats-server")
        os.kill(builder, signal.SIGKILL)
        os.kill(server, signal.SIGKILL)
        await eventually(lambda: [builder] != up.children("run topology-builder") != [])
        await eventually(lambda: [server] != up.children("nats-server") != [])
        client = await nats.connect(up.url, max_reconnect_attempts=50, reconnect_time_wait=0.1)  # on the same port
        await client.close()
        _, _, err = await up.end(signal.SIGTERM)
    assert "topology-builder ended with exit code -9; restarting it in 1 s" in err
    assert "nats-server ended with exit code -9; restarting it in 1 s" in err


async def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    async with running_up(tmp_path, *ONLY_BUILDER) as up:
        started = up.children()
        assert up.process.stdout is not None
        up.process.stdout._transport.close()  # type: ignore[attr-defined]
        assert await up.process.wait() == 0
    assert not [pid for pid in started if is_alive(pid)]


async def test_a_service_that_refuses_its_configuration_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "kgents.yaml"
    file.write_text("topology-builder: {clusterz: []}\n")
    code, _, err = await run_kgents("up", "--data", str(tmp_path / "data"), *ONLY_BUILDER, "--config", str(file))
    assert code == 78
    assert "topology-builder.clusterz: expected a known key, found an unknown key" in err
    assert "topology-builder cannot use its configuration" in err


async def test_an_unknown_service_is_refused_before_anything_starts(tmp_path: Path) -> None:
    code, _, err = await run_kgents("up", "--data", str(tmp_path), "--only", "topolgy-builder")
    assert code == 1
    assert "did you mean topology-builder?" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(300)  # it may have to install the engine
async def test_a_docker_engine_is_found_by_itself_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_or_skip()
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    monkeypatch.setenv("HOME", str(tmp_path))
    async with engine.api() as api:
        await api.run("up-web")
        try:
            async with running_up(tmp_path / "data", "--duration", f"{MACHINE.limit_s(25):.0f}") as up:
                client = await nats.connect(up.url)
                subscription = await client.jetstream().subscribe(
                    "kgents.topology.local.container.*.up-web", stream="KGENTS_TOPOLOGY", ordered_consumer=True
                )
                message = await subscription.next_msg(timeout=MACHINE.limit_s(20))
                assert json.loads(message.data)["status"] == "running"
                await client.close()
                assert up.children("collector-docker")
        finally:
            await api.remove("up-web")
