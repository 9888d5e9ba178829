"""What the collector may do, what it may see, and what it says when it may not."""

import asyncio
import hashlib
import io
import json
import shutil
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.docker_engine import IMAGE, DockerEngine
from support.docker_gate import Gate
from support.docker_watched import Watched, edges
from support.process import spawn_async
from support.truth import last_seq
from support.waiting import MACHINE, eventually, is_in_time

pytestmark = pytest.mark.timeout(120)  # the first test starts the engine

CANARIES = tuple(f"canary{letter}f3e1" for letter in "abcdefghijk")


async def test_no_secret_gets_into_a_message_or_a_log_line(docker: Watched) -> None:
    env, label, url, build, command, option, check, network, volume, image, event = CANARIES
    arguments = quote(json.dumps({"TOKEN": build}))
    await docker.api.call("POST", f"build?t=secret:1&buildargs={arguments}", _context(env, image))
    assert build in json.dumps(await docker.api.get("images/secret:1/json"))  # it is there to be found
    async with docker.collector(labels='["com.example.*"]') as collector:
        await docker.state("in_sync")
        await docker.api.network("blue", note=network)
        await docker.api.call("POST", "volumes/create", {
            "Name": "data", "Labels": {"note": volume},
            "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": f"size=1m,{option}=1"},
        })  # fmt: skip
        await docker.api.run(
            "web", "sh", "-c", f": --password {command}; exec sleep 1000",
            Image="secret:1",
            Env=[f"PASSWORD={env}"],
            Labels={
                "note": label, "com.example.db-password": label, "com.example.url": f"postgres://me:{url}@db/shop",
                "com.example.note": f"token={label}", "com.example.team": "shop",
                # The engine mixes labels into its events, where these win over its own words.
                "exitCode": event, "signal": event, "oldName": event, "container": event, "execID": event,
                "com.docker.compose.depends_on": f"web:{label}:false",
            },
            Healthcheck={
                "Test": ["CMD-SHELL", f"echo {check}; exit 1"], "Interval": 10**8, "Timeout": 10**9, "Retries": 1,
            },
            host={"NetworkMode": "blue", "LogConfig": {"Type": "json-file", "Config": {"tag": option}}},
        )  # fmt: skip
        entity = await docker.becomes("web", "failed", "Unhealthy")
        assert entity.labels == {"com.example.team": "shop"}
        pulses = await last_seq(docker.bus, "KGENTS_PULSE")

        async def measured() -> bool:
            return await last_seq(docker.bus, "KGENTS_PULSE") > pulses + 4

        await eventually(measured)
        await docker.api.do("web", "rename?name=front")
        await docker.api.do("front", "restart")
        await docker.api.remove("front")
        await docker.goes("container", "front")
        await docker.goes("container", "web")
        said = [
            line
            for stream in ("KGENTS_ENTITY", "KGENTS_EVENT", "KGENTS_PULSE", "KGENTS_META")
            for line in await docker.stored(stream)
        ]
        said.append(collector.log.read_bytes())
    await docker.api.call("DELETE", "images/secret:1?force=1", may_fail=True)
    assert len(said) > 15
    assert [canary for canary in CANARIES for each in said if canary.encode() in each] == []


def _context(env: str, image: str) -> bytes:
    """A build context whose image holds secrets in its history, environment and labels."""
    dockerfile = f"FROM {IMAGE}\nARG TOKEN\nENV PASSWORD={env} BUILT_WITH=$TOKEN\nLABEL note={image}\n".encode()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        tar.addfile(entry, io.BytesIO(dockerfile))
    return content.getvalue()


async def test_nothing_but_get_is_ever_sent(docker: Watched, tmp_path: Path) -> None:
    async with Gate(docker.engine.socket, tmp_path / "gate.sock") as gate, docker.collector({"url": gate.url}):
        await docker.state("in_sync")
        await docker.api.network("blue")
        await docker.api.run("web", host={"NetworkMode": "blue"})
        await docker.becomes("web", "running")
        await docker.api.remove("web")
        await docker.goes("container", "web")
        assert {method for method, _ in gate.seen} == {"GET"}


async def test_what_is_refused_stays_as_it_was_and_the_rest_goes_on(docker: Watched, tmp_path: Path) -> None:
    await docker.api.volume("data")
    await docker.api.run("web", host={"Binds": ["data:/data"]})
    async with (
        Gate(docker.engine.socket, tmp_path / "gate.sock") as gate,
        docker.collector({"url": gate.url}, resync_interval_s=1),
    ):
        await docker.state("in_sync")
        gate.denied = ("volumes", "images")
        await docker.state("degraded", "refuses GET /volumes (HTTP 403); allow this path in the socket proxy")
        assert await docker.named("image", await docker.image(IMAGE)) is not None
        await docker.api.remove("web")
        await docker.goes("container", "web")
        assert await docker.named("volume", "data") is not None
        await docker.api.run("new")
        await docker.becomes("new", "running")
        gate.denied = ()
        await docker.state("in_sync")
        await docker.api.call("DELETE", "volumes/data")
        await docker.goes("volume", "data")
        gate.denied = ("containers",)
        await docker.state("degraded", "refuses GET /containers/json")
        assert await docker.named("container", "new") is not None


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ({"url": "unix:///nowhere/docker.sock"}, "unix:///nowhere/docker.sock: there is no such socket; start Docker"),
        ({"url": "tcp://127.0.0.1:9"}, "tcp://127.0.0.1:9: nothing listens there; start the engine"),
    ],
)
async def test_no_engine_is_one_clear_sentence(docker: Watched, engine: dict[str, str], reason: str) -> None:
    async with docker.collector(engine):
        await docker.state("degraded", reason)


async def test_tls_without_the_right_certificate_is_one_clear_sentence(docker: Watched) -> None:
    url = docker.engine.tls_url
    for engine, reason in (
        ({"url": url}, "(HTTP 400); if it speaks TLS, set tls"),
        ({"url": url, "tls": {}}, f"{url}: TLS failed (certificate verify failed)"),
        ({"url": url, "tls": {"ca_file": docker.engine.tls["ca_file"]}}, f"{url}: "),
    ):
        async with docker.collector(engine) as collector:
            await docker.state("degraded", reason)
            assert await collector.stop() == 0
    async with docker.collector({"url": url, "tls": docker.engine.tls}):
        await docker.state("in_sync")


async def test_without_an_address_the_engine_of_the_docker_command_is_watched(
    docker: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", docker.engine.url)
    async with docker.collector({}) as collector:
        await docker.state("in_sync")
        assert await collector.stop() == 0
    _make_context(tmp_path / ".docker", docker.engine, "prod")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    async with docker.collector({}):  # it is before the current context, as for the `docker` command
        await docker.state("degraded", "unix:///nowhere/docker.sock: there is no such socket; start Docker")
    monkeypatch.setenv("DOCKER_HOST", "")
    for engine in ({}, {"context": "prod"}):
        async with docker.collector(engine) as collector:
            await docker.api.run(f"c{len(engine)}")
            await docker.becomes(f"c{len(engine)}", "running")
            assert await collector.stop() == 0


def _make_context(directory: Path, engine: DockerEngine, name: str) -> None:
    """What `docker context create` and `docker context use` write."""
    id_ = hashlib.sha256(name.encode()).hexdigest()
    meta, tls = directory / "contexts" / "meta" / id_, directory / "contexts" / "tls" / id_ / "docker"
    meta.mkdir(parents=True)
    tls.mkdir(parents=True)
    endpoint = {"Host": f"{engine.tls_url}/", "SkipTLSVerify": False}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
    for part in ("ca", "cert", "key"):
        shutil.copy(engine.tls[f"{part}_file"], tls / f"{part}.pem")
    (directory / "config.json").write_text(json.dumps({"currentContext": name}))


async def test_permission_denied_is_one_clear_sentence(docker: Watched) -> None:
    docker.engine.socket.chmod(0o600)
    program = (
        "import asyncio, os, sys\n"
        "from kgents_collector_docker.answers import Info\n"
        "from kgents_collector_docker.config import EngineConfig\n"
        "from kgents_collector_docker.source import Client, EngineError\n"
        "async def main():\n"
        "    async with Client(EngineConfig(url=sys.argv[1]), timeout_s=5) as client:\n"
        "        try:\n"
        "            await client.get('info', Info)\n"
        "        except EngineError as error:\n"
        "            print(error)\n"
        "os.setuid(65534)\n"
        "asyncio.run(main())\n"
    )
    process = await spawn_async(sys.executable, "-c", program, docker.engine.url, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.decode().strip() == (
        f"{docker.engine.url}: permission denied for user 65534; add this user to the group that owns the socket "
        "(usually docker), or run as one that is in it"
    )


async def test_a_container_of_a_pod_is_connected_to_it(docker: Watched) -> None:
    labels = {
        "io.kubernetes.pod.name": "cart-7f", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "u-1",
        "io.kubernetes.container.name": "cart",
    }  # fmt: skip
    async with docker.collector():
        await docker.api.run("k8s_cart", Labels=labels)
        entity = await docker.becomes("k8s_cart", "running")
    assert ("owns", "in", "pod shop/cart-7f") in edges(entity)
    assert entity.attributes["k8s.container.name"] == "cart"


async def test_running_containers_are_measured(docker: Watched) -> None:
    host = {"NanoCpus": 500_000_000, "Memory": 64 * 1024**2, "PidsLimit": 20}
    await docker.api.network("blue")
    async with docker.collector():
        await docker.api.run("busy", "sh", "-c", "while :; do :; done", host={**host, "NetworkMode": "blue"})
        await docker.api.run("idle")

        async def three_rounds() -> bool:
            return len([each for each in await docker.log("pulse") if each["ref"]["name"] == "busy"]) >= 4

        await eventually(three_rounds)
        pulses = await docker.log("pulse")
    busy = [each for each in pulses if each["ref"]["name"] == "busy"]
    assert "cpu_percent" not in busy[0]  # a rate needs two samples
    last = busy[-1]
    assert 25 / MACHINE.slowness < last["cpu_percent"] < 65  # a busy machine gives it less than it may have
    assert last["custom"]["cpu_limit_percent"] == 50
    assert last["custom"]["cpu_of_limit_percent"] == pytest.approx(2 * last["cpu_percent"])
    assert last["memory_limit_bytes"] == 64 * 1024**2
    assert 0 < last["memory_bytes"] < 8 * 1024**2
    assert (last["custom"]["pids"], last["custom"]["pids_ratio"]) == (1, 0.05)
    assert last["network_rx_bytes"] >= 0
    idle = [each for each in pulses if each["ref"]["name"] == "idle"][-1]
    assert idle["cpu_percent"] < 10
    assert "memory_limit_bytes" not in idle
    engine = [each for each in pulses if each["ref"]["kind"] == "host"][-1]
    assert engine["custom"]["containers_running"] == 2
    assert engine["custom"]["engine_cpu_percent"] >= 0
    assert engine["custom"]["observer_requests_per_sec"] > 0


async def test_an_answer_that_takes_longer_than_the_interval_says_when_to_expect_the_next_one(
    docker: Watched, tmp_path: Path
) -> None:
    """Or a large engine's containers would be without data whenever three intervals passed."""
    await docker.api.run("web")
    async with Gate(docker.engine.socket, tmp_path / "gate.sock") as gate, docker.collector({"url": gate.url}):
        gate.delays_s = {"stats": 2.5}

        async def measured() -> bool:
            return len(await of_web()) >= 3

        async def of_web() -> list[dict[str, Any]]:
            return [each for each in await docker.log("pulse") if each["ref"]["name"] == "web"]

        await eventually(measured, within_s=30)
        pulses = await of_web()
    assert all(each["interval_s"] >= 2.5 and is_in_time(each["interval_s"], 10) for each in pulses)


async def test_two_hundred_containers_are_seen_whole(docker: Watched) -> None:
    slots = asyncio.Semaphore(8)

    async def start(number: int) -> None:
        async with slots:
            # Without networks, whose sandboxes would be the bottleneck; every fourth is started.
            make = docker.api.create if number % 4 else docker.api.run
            await make(f"c{number}", NetworkDisabled=True)

    async with docker.collector(poll_interval_s=10):
        await docker.state("in_sync")
        async with asyncio.TaskGroup() as tasks:
            for number in range(200):
                tasks.create_task(start(number))
        await docker.agrees()
        assert len([each for each in await docker.entities() if each[0] == "container"]) == 200
        await docker.engine.clear()
        await docker.agrees()
        expected = {"Created": 200, "Started": 50, "Removed": 200}

        async def counted() -> Counter[str]:
            reasons = Counter(each["reason"] for each in await docker.log("event") if each["reason"] in expected)
            return reasons if reasons.total() >= sum(expected.values()) else Counter()

        assert await eventually(counted) == expected
