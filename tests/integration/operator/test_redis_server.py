"""What the pods of a RedisCluster run, run here by real servers: start, users, replication, guard, readiness, copies.

The files, variables and commands are those of the objects that the operator applies; only paths, ports and addresses
are this machine's.
"""

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kgents_operator.desired.outcome import STATEFULSET
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.redis import desired
from kgents_operator.desired.redis_names import RedisNames
from kgents_operator.desired.redis_server import LOGINS
from kgents_operator.images import Images
from kgents_operator.redis_credentials import made
from kgents_operator.resources.redis import RedisCluster, Spec
from support.operated_redis import begun, redis
from support.ports import free_port
from support.process import spawn
from support.programs import need
from support.waiting import eventually

pytestmark = pytest.mark.timeout(120)
OWNER = Owner("cache", "shop", "u-1", "kgents.io/v1alpha1", "RedisCluster")
BACKUP = {"enabled": True, "schedule": "@daily", "destination": {"claimName": "nas"}, "keep": 2}
PRIMARY, REPLICA = "127.0.0.1", "127.0.0.2"
Json = dict[str, Any]


class Pods:
    """The Secrets and the ConfigMap of one RedisCluster as folders, which its pods mount."""

    def __init__(self, folder: Path, **spec: Any) -> None:
        self.folder = folder
        self.port = free_port()
        self.spec: Spec = msgspec.convert(redis(backup=BACKUP, **spec), RedisCluster).spec
        wanted = desired(OWNER, self.spec, {}, begun(OWNER, self.spec), Images())
        self.objects = {(each["kind"], each["metadata"]["name"]): each for each in wanted.objects}
        for name in ("config", "secrets", "tls", "backups", "programs"):
            (folder / name).mkdir(parents=True)
        for name, text in self.objects["ConfigMap", "cache-config"]["data"].items():
            local = text.replace(" /tls/", f" {folder}/tls/").replace("tls-port 6379", f"tls-port {self.port}")
            (folder / "config" / name).write_text(local)
        (folder / "config" / "founded").write_text("")  # as before the primary has answered
        for each in made(OWNER, RedisNames("cache", "shop"), self.spec, datetime.now(UTC)):
            login = each["metadata"]["name"].removeprefix("cache-redis-")
            data = {key: base64.b64decode(value) for key, value in each["data"].items()}
            if login == "tls":
                for key, value in data.items():
                    (folder / "tls" / key).write_bytes(value)
            else:
                (folder / "secrets" / LOGINS[login]).write_bytes(data["password"])
        # As the names of the cluster: those of pods that there are.
        self.known = folder / "names"
        getent = folder / "programs" / "getent"
        getent.write_text(f'#!/bin/sh\ngrep -Fqx "$2" {self.known}\n')
        getent.chmod(0o755)

    def password(self, user: str) -> str:
        return (self.folder / "secrets" / user).read_text()

    def environment(self, container: Json, data: Path) -> dict[str, str]:
        """The variables that an object gives its container, on this machine."""
        found = {each["name"]: each["value"] for each in container["env"] if "value" in each}
        folders = {"CONFIG": "config", "SECRETS": "secrets", "TLS": "tls", "BACKUPS": "backups"}
        found |= {name: str(self.folder / path) for name, path in folders.items() if name in found}
        here = {"DATA": str(data), "RUN": str(data.with_name("run")), "PORT": str(self.port), "SELF": PRIMARY,
                "REPLICAS": REPLICA, "PRIMARY": PRIMARY}  # fmt: skip
        found |= {name: value for name, value in here.items() if name in found}
        programs = f"{self.folder}/programs:{need('redis-server').parent}:{need('redis-cli').parent}"
        return found | {"PATH": f"{programs}:{os.environ['PATH']}"}

    def cli(self, host: str, user: str, *words: str, tls: bool = True) -> str:
        """What redis-cli prints to a client."""
        more = ["--tls", "--cacert", f"{self.folder}/tls/ca.crt"] if tls else []
        login = ["--user", user, "--no-auth-warning"] if user else []
        done = subprocess.run(
            [str(need("redis-cli")), "-h", host, "-p", str(self.port), *more, *login, *words],
            env={**os.environ, **({"REDISCLI_AUTH": self.password(user)} if user else {})},
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        return (done.stdout + done.stderr).strip()


class Pod:
    """One server, at an address of its own."""

    def __init__(self, pods: Pods, name: str, host: str) -> None:
        self._pods = pods
        self.host = host
        self.folder = pods.folder / name
        self.log = self.folder / "log"
        self._container = pods.objects[STATEFULSET, name]["spec"]["template"]["spec"]["containers"][0]
        for each in ("data", "run"):
            (self.folder / each).mkdir(parents=True)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def environment(self) -> dict[str, str]:
        return self._pods.environment(self._container, self.data)

    def begin(self) -> None:
        """Start the container, as the pod does. The server of a pod has an address of its own."""
        shutil.copytree(self._pods.folder / "config", self.folder / "config", dirs_exist_ok=True)
        with (self.folder / "config" / "redis.conf").open("a") as settings:
            settings.write(f"bind {self.host}\n")
        environment = self.environment | {"CONFIG": str(self.folder / "config")}
        command, script = self._container["command"]
        with self.log.open("ab") as log:
            self.process = spawn(
                [command, str(self.folder / script.removeprefix("/"))], env=environment, stdout=log, stderr=log
            )

    def is_ready(self) -> bool:
        """What its readiness probe says."""
        command, script = self._container["readinessProbe"]["exec"]["command"]
        text = (self._pods.folder / script.removeprefix("/")).read_text().replace("127.0.0.1", self.host)
        path = self.folder / "ready"
        path.write_text(text)
        return subprocess.run([command, path], env=self.environment, capture_output=True, check=False).returncode == 0

    def kill(self) -> None:
        """At once, as a machine that is lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)


@pytest.fixture
def pods(tmp_path: Path) -> Pods:
    return Pods(tmp_path / "pods", replicas=2)


@pytest.fixture
def primary(pods: Pods) -> Iterator[Pod]:
    pod = Pod(pods, "cache", PRIMARY)
    yield pod
    pod.kill()


@pytest.fixture
def replica(pods: Pods) -> Iterator[Pod]:
    pod = Pod(pods, "cache-replicas", REPLICA)
    yield pod
    pod.kill()


def refused(pod: Pod) -> str:
    """Why it does not start."""
    pod.begin()
    assert pod.process is not None
    assert pod.process.wait(30) == 1
    return pod.log.read_text().splitlines()[-1]


async def test_a_replica_follows_and_an_empty_primary_never_empties_it(pods: Pods, primary: Pod, replica: Pod) -> None:
    pods.known.write_text(f"{PRIMARY}\n")
    primary.begin()
    await eventually(primary.is_ready)
    replica.begin()
    await eventually(replica.is_ready)
    assert pods.cli(PRIMARY, "app", "set", "kept", "7") == "OK"
    await eventually(lambda: pods.cli(REPLICA, "app", "get", "kept") == "7")
    assert "READONLY" in pods.cli(REPLICA, "app", "set", "other", "1")

    pods.known.write_text(f"{PRIMARY}\n{REPLICA}\n")
    primary.kill()
    primary.begin()
    await eventually(primary.is_ready)
    assert pods.cli(PRIMARY, "app", "get", "kept") == "7", "its volume has all of it"
    old = pods.password("kgents")
    (pods.folder / "secrets" / "kgents").write_text("another")
    assert primary.is_ready(), "a Secret that is made again counts from the next start"
    await eventually(replica.is_ready)

    primary.kill()
    shutil.rmtree(primary.data)
    primary.data.mkdir()
    assert f"expected {REPLICA} to say whether it has keys" in refused(primary), "its password is not that of now"
    (pods.folder / "secrets" / "kgents").write_text(old)
    assert f"and keys on {REPLICA}: not started" in refused(primary)
    pods.known.write_text(f"{PRIMARY}\n")
    (pods.folder / "config" / "copies").write_text(REPLICA)
    assert f"expected {REPLICA} to say whether it has keys, found no address" in refused(primary)
    assert pods.cli(REPLICA, "app", "get", "kept") == "7"
    assert not replica.is_ready(), "it does not follow now"
    (pods.folder / "config" / "copies").write_text("")
    (pods.folder / "config" / "founded").write_text("yes")
    assert "expected the data of the primary in" in refused(primary), "with no replica to ask, too"


async def test_users_have_the_least_rights_and_nothing_is_in_the_clear(pods: Pods, primary: Pod) -> None:
    pods.known.write_text(f"{PRIMARY}\n")
    primary.begin()
    await eventually(primary.is_ready)
    for words in (("flushall",), ("config", "get", "*"), ("acl", "list"), ("replicaof", "no", "one")):
        assert "NOPERM" in pods.cli(PRIMARY, "app", *words), words
    assert pods.cli(PRIMARY, "app", "publish", "news", "1") == "0"
    for words in (("get", "kept"), ("set", "kept", "1"), ("subscribe", "news")):
        assert "NOPERM" in pods.cli(PRIMARY, "kgents", *words), words
    assert "aof_enabled:1" in pods.cli(PRIMARY, "kgents", "info")
    assert "maxmemory:134217728" in pods.cli(PRIMARY, "kgents", "info")
    assert "NOAUTH" in pods.cli(PRIMARY, "", "ping")
    assert "PONG" not in pods.cli(PRIMARY, "app", "ping", tls=False)
    assert primary.process is not None
    seen = primary.log.read_text() + Path(f"/proc/{primary.process.pid}/cmdline").read_text()
    assert not [user for user in LOGINS.values() if pods.password(user) in seen]


async def test_copies_are_whole_kept_in_number_and_can_be_restored(pods: Pods, primary: Pod) -> None:
    pods.known.write_text(f"{PRIMARY}\n")
    primary.begin()
    await eventually(primary.is_ready)
    pods.cli(PRIMARY, "app", "set", "kept", "7")
    backups = pods.folder / "backups"
    for day in (1, 2, 3):
        (backups / f"cache-2026010{day}T000000Z.rdb").write_text("an older copy")
    (backups / "others-20260101T000000Z.rdb").write_text("not ours")
    (backups / "cache-20260104T000000Z.rdb.part").write_text("ended in the middle")
    job = pods.objects["CronJob", "cache-backup"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    command, script = job["command"]
    environment = pods.environment(job, primary.data) | {"REDISCLI_AUTH": pods.password("backup")}
    done = subprocess.run(
        [command, str(pods.folder / script.removeprefix("/"))],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    old, new, others = sorted(path.name for path in backups.iterdir())
    assert (old, others) == ("cache-20260103T000000Z.rdb", "others-20260101T000000Z.rdb")
    primary.kill()
    shutil.rmtree(primary.data)
    files = primary.data / "appendonlydir"
    files.mkdir(parents=True)
    shutil.copyfile(backups / new, files / "appendonly.aof.1.base.rdb")
    (files / "appendonly.aof.manifest").write_text("file appendonly.aof.1.base.rdb seq 1 type b\n")
    primary.begin()
    await eventually(primary.is_ready)
    assert pods.cli(PRIMARY, "app", "get", "kept") == "7"


async def test_without_persistence_and_channels_the_server_has_neither(tmp_path: Path) -> None:
    pods = Pods(tmp_path / "pods", persistence={"enabled": False}, pubsub={"enabled": False})
    pods.known.write_text("")
    pod = Pod(pods, "cache", PRIMARY)
    try:
        pod.begin()
        await eventually(pod.is_ready)
        assert "NOPERM" in pods.cli(PRIMARY, "app", "publish", "news", "1")
        assert pods.cli(PRIMARY, "app", "set", "kept", "7") == "OK"
        assert "aof_enabled:0" in pods.cli(PRIMARY, "kgents", "info")
        assert list(pod.data.iterdir()) == []
    finally:
        pod.kill()
