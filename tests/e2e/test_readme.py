"""What the README prints is run as it is printed, against the pipeline that `kgents up` starts."""

import asyncio
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from support.process import spawn
from support.waiting import MACHINE, eventually, eventually_blocking

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
PRINTED_URL = "nats://127.0.0.1:4222"
pytestmark = pytest.mark.timeout(120)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def commands(beginning: str) -> list[str]:
    lines = [line.split("   #")[0].strip() for text in blocks("bash") for line in text.splitlines()]
    return [line for line in lines if line.startswith(beginning)]


class Pipeline:
    """`kgents up` as a newcomer runs it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.directory / "up.log").open("wb") as log:
            command = [str(BIN / "kgents"), "up", "--data", str(self.directory / "data")]
            self._process = spawn(command, stdout=log, stderr=log)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(MACHINE.limit_s(30))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    if not _is_free(4222):
        pytest.skip("another program has port 4222: the README's commands cannot be run as printed")
    pipeline = Pipeline(tmp_path_factory.mktemp("readme"))
    pipeline.start()
    asyncio.run(_until_streaming())
    yield pipeline
    pipeline.stop()


async def _until_streaming() -> None:
    """The first topology messages are there: a minute is the promise."""

    async def is_streaming() -> bool:
        return len(await _snapshot("kgents.topology.>", "KGENTS_TOPOLOGY")) >= 8

    await eventually(is_streaming, within_s=60)


async def _snapshot(filter_: str, stream: str) -> list[dict[str, object]]:
    """What `nats sub FILTER --last-per-subject` shows first, by a bare client."""
    try:
        client = await nats.connect(PRINTED_URL, allow_reconnect=False, connect_timeout=2)
    except (OSError, nats.errors.Error):
        return []
    try:
        settings = ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, ack_policy=AckPolicy.NONE)
        consumer = await client.jetstream().pull_subscribe(filter_, stream=stream, config=settings)
        return [json.loads(message.data) for message in await consumer.fetch(1000, timeout=1)]
    except (nats.errors.Error, TimeoutError):
        return []
    finally:
        await client.close()


async def _stored(stream: str, filter_: str = "") -> list[dict[str, object]]:
    return await _snapshot(filter_ or f"kgents.{stream.lower()}.>", f"KGENTS_{stream}")


async def _there(stream: str, filter_: str = "") -> list[dict[str, object]]:
    """The same, as soon as there is anything."""
    return await eventually(lambda: _stored(stream, filter_))


async def _live(filter_: str, seconds: float = 12) -> list[dict[str, object]]:
    """What `nats sub FILTER` shows within some seconds, by a bare client: more than one poll of each collector."""
    client = await nats.connect(PRINTED_URL)
    found: list[dict[str, object]] = []

    async def note(message: Msg) -> None:
        found.append(json.loads(message.data))

    try:
        await client.subscribe(filter_, cb=note)
        await asyncio.sleep(MACHINE.limit_s(seconds))
    finally:
        await client.close()
    return found


@pytest.mark.parametrize("stream", ["ENTITY", "PULSE", "EVENT", "TOPOLOGY", "HEALTH", "ALERT", "META"])
def test_every_stored_message_begins_with_its_sentence(pipeline: Pipeline, stream: str) -> None:
    found = asyncio.run(_there(stream) if stream not in ("EVENT", "ALERT") else _stored(stream))
    assert [message for message in found if next(iter(message)) != "text" or not message["text"]] == []


def _run(command: list[str], seconds: float, directory: Path) -> str:
    """The output of a program that may run forever, after some seconds: more of them on a slow machine."""
    seconds = MACHINE.limit_s(seconds)
    process = spawn(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=directory, env={**os.environ, "NO_COLOR": "1"}
    )
    try:
        out, _ = process.communicate(timeout=seconds)
        assert process.returncode == 0, out.decode()
    except subprocess.TimeoutExpired:
        process.terminate()
        out, _ = process.communicate()
    return out.decode()


def _status(command: list[str], directory: Path) -> int:
    """The exit status of a program that ends by itself."""
    process = spawn(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=directory)
    return process.wait(MACHINE.limit_s(30))


CONSUMERS = [text for text in blocks("python") if "kgents.topology.>" in text or "client.topology(" in text]
"""Those that print the topology; the others need an unhealthy system, see `tests/integration/library`."""


@pytest.mark.parametrize("number", range(len(CONSUMERS)))
def test_a_consumer_as_printed_prints_the_topology(pipeline: Pipeline, number: int, tmp_path: Path) -> None:
    program = tmp_path / "consumer.py"
    program.write_text(CONSUMERS[number])

    lines = _run([sys.executable, str(program)], 8, tmp_path).splitlines()

    # It appeared, or changed since: its connections come with the entities that they lead to.
    assert [line for line in lines if line.startswith("nats_stream KGENTS_TOPOLOGY ")]


def test_the_library_resumes_where_it_stopped(pipeline: Pipeline, tmp_path: Path) -> None:
    program = tmp_path / "consumer.py"
    program.write_text(next(text for text in blocks("python") if "position_file" in text))
    first = _run([sys.executable, str(program)], 8, tmp_path).splitlines()

    again = _run([sys.executable, str(program)], 5, tmp_path).splitlines()

    assert len(first) >= 7
    assert again == []


@pytest.mark.parametrize("command", commands(".venv/bin/kgents"))
def test_a_kgents_command_as_printed_shows_something(pipeline: Pipeline, command: str, tmp_path: Path) -> None:
    words = [str(BIN / "kgents"), *shlex.split(command)[1:]]
    if "--at" in words:  # the pipeline may be younger than that
        assert eventually_blocking(lambda: _status(words, tmp_path) == 0, within_s=90)
    assert _run(words, 10, tmp_path).strip()


@pytest.mark.parametrize("command", commands("nats sub"))
def test_a_nats_command_as_printed_shows_the_stream(pipeline: Pipeline, command: str, tmp_path: Path) -> None:
    words = shlex.split(command)
    filter_ = words[2]
    if "--last-per-subject" in words:
        found = asyncio.run(_there(filter_.split(".")[1].upper(), filter_))
    else:
        found = asyncio.run(_live(filter_))
    assert found
    assert [message for message in found if next(iter(message)) != "text"] == []
    if shutil.which("nats"):
        out = _run(["bash", "-c", command], 5, tmp_path)
        assert "--last-per-subject" not in words or "running" in out


def test_an_entity_of_your_own_as_printed_appears(pipeline: Pipeline) -> None:
    (command,) = commands("nats pub")
    _, _, subject, payload = shlex.split(command)

    async def publish_and_read() -> bool:
        client = await nats.connect(PRINTED_URL)
        await client.jetstream().publish(subject, payload.encode())
        await client.close()
        (entity,) = await eventually(lambda: _snapshot("kgents.topology.local.custom.>", "KGENTS_TOPOLOGY"))
        return entity["text"] == "custom ledger-cron appeared: running"

    assert asyncio.run(publish_and_read())


def test_the_configuration_as_printed_is_valid_but_for_its_files(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    file = tmp_path / "kgents.yaml"
    file.write_text(text.replace("/run/secrets", str(tmp_path)))
    (tmp_path / "pg").write_text("a password")
    (tmp_path / "kgents.creds").write_text("a JWT and a seed")

    checked = subprocess.run(
        [str(BIN / "kgents"), "config", "check", "--config", str(file)], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr
