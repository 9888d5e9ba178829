"""What pods run, run here by real programs: the start of the server, its logins, the pooler, a dump that is restored.

The files, variables and commands are those of the objects that the operator applies; only paths and ports are this
machine's.
"""

import base64
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kgents_operator.desired.outcome import Observed
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.postgres import desired
from kgents_operator.desired.postgres_names import PostgresNames
from kgents_operator.images import Images
from kgents_operator.postgres_credentials import made
from kgents_operator.resources.postgres import PostgresCluster
from support.operated import postgres
from support.ports import free_port
from support.postgres_server import own_directory, owner, programs_of
from support.process import OwnProcess, accepts, spawn, until_ready
from support.programs import need
from support.waiting import eventually

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(owner().pw_name != "postgres", reason="needs the user postgres, as the image has it"),
]
OWNER = Owner("orders", "shop", "u-1", "kgents.io/v1alpha1", "PostgresCluster")
NAMES = PostgresNames("orders", "shop")
BACKUP = {"enabled": True, "schedule": "@daily", "destination": {"claimName": "nas"}, "keep": 2, "archive": True}
SPEC = msgspec.convert(
    postgres(version=15, backup=BACKUP, resources={"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}}),
    PostgresCluster,
).spec
OBJECTS = {
    (each["kind"], each["metadata"]["name"]): each for each in desired(OWNER, SPEC, {}, Observed(), Images()).objects
}


class Pod:
    """The volumes of the server's pod as folders, and its processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = own_directory(folder)
        self.port = free_port()
        self._programs = programs_of(15)
        for name in ("config", "secrets", "data", "run", "tls", "backups", "backups/orders-wal"):
            (self.folder / name).mkdir()
        for name, text in OBJECTS["ConfigMap", "orders-config"]["data"].items():
            (self.folder / "config" / name).write_text(self.local(text))
        self.give_secrets()
        self.process: subprocess.Popen[bytes] | None = None

    def give_secrets(self) -> None:
        """Mount new Secrets, as after a rotation."""
        secrets = made(OWNER, NAMES, SPEC, datetime.now(UTC))
        for each in secrets:
            login = each["metadata"]["name"].removeprefix("orders-")
            folder = self.folder / ("tls" if login == "tls" else f"secrets/{login}")
            folder.mkdir(exist_ok=True)
            for key, value in each["data"].items():
                (folder / key).write_bytes(base64.b64decode(value))
                (folder / key).chmod(0o600)
        for path in [self.folder, *self.folder.rglob("*")]:
            if "data" not in path.relative_to(self.folder).parts:
                os.chown(path, owner().pw_uid, owner().pw_gid)
        os.chown(self.folder / "data", owner().pw_uid, owner().pw_gid)
        if os.geteuid() == 0:  # as a volume is mounted: of root, and of the pod's group
            for path in (self.folder / "tls").iterdir():
                os.chown(path, 0, owner().pw_gid)
                path.chmod(0o440)

    def local(self, text: str) -> str:
        """With the folders of this machine in place of the pod's."""
        text = text.replace("'/tls/", f"'{self.folder}/tls/").replace("= /tls/", f"= {self.folder}/tls/")
        archive = f"{self.folder}/backups/orders-wal"
        return text.replace("sh /config/postgres-archive", f"sh {self.folder}/config/postgres-archive").replace(
            "%p /archive/", f"%p {archive}/"
        )

    def secret(self, login: str, key: str = "password") -> str:
        return (self.folder / "secrets" / login / key).read_text()

    @property
    def data(self) -> Path:
        return self.folder / "data" / "pgdata"

    def environment(self, place: tuple[str, str], container: int = 0) -> dict[str, str]:
        """The variables that the object gives a container of its, on this machine."""
        spec = OBJECTS[place]["spec"]
        template = spec["jobTemplate"]["spec"]["template"] if place[0] == "CronJob" else spec["template"]
        found = {each["name"]: each["value"] for each in template["spec"]["containers"][container]["env"]
                 if "value" in each}  # fmt: skip
        folders = {
            "ARCHIVE": "backups/orders-wal",
            "CONFIG": "config",
            "SECRETS": "secrets",
            "PGDATA": "data/pgdata",
            "BACKUPS": "backups",
        }
        found |= {name: str(self.folder / path) for name, path in folders.items() if name in found}
        return found | {"PGPORT": str(self.port), "PATH": f"{self._programs}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}

    @property
    def identity(self) -> dict[str, Any]:
        user = owner()
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}

    def begin(self) -> None:
        """Start the container of the server, as the pod does."""
        (command, script) = OBJECTS["StatefulSet", "orders"]["spec"]["template"]["spec"]["containers"][0]["command"]
        environment = self.environment(("StatefulSet", "orders")) | {"PGHOST": str(self.folder / "run")}
        with (self.folder / "log").open("ab") as log:
            self.process = spawn(
                [command, str(self.folder / script.removeprefix("/"))],
                env=environment, stdout=log, stderr=log, start_new_session=True, **self.identity,
            )  # fmt: skip

    async def start(self) -> None:
        """Until clients are served."""
        self.begin()
        assert self.process is not None
        await until_ready(self.process, lambda: accepts(self.port), self.folder / "log")
        await eventually(lambda: self.psql("orders", self.secret("credentials"), "select 1") == "1")

    def stop(self) -> None:
        """As the end of a pod: the image's STOPSIGNAL is SIGINT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def kill(self) -> None:
        """All of it, as a machine that is lost."""
        if self.process is None:
            return
        while running := list(self._running()):  # one that was begun meanwhile would go on beside the next start
            for pid in running:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait(30)

    def _running(self) -> Iterator[int]:
        assert self.process is not None
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session, *_ = path.read_text().rpartition(")")[2].split()
            except (OSError, ValueError):
                continue
            if state not in "ZX" and (int(session) == self.process.pid or self._is_ours(path.parent)):
                yield int(path.parent.name)

    def _is_ours(self, process: Path) -> bool:
        """pg_ctl gives the server a session of its own; its folder tells whose it is."""
        try:
            return str(self.folder) in (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return False

    def psql(self, user: str, password: str, sql: str, *, tls: str = "verify-full", port: int = 0) -> str:
        """What a client gets; of a refusal the server's words."""
        place = f"host=orders.shop.svc hostaddr=127.0.0.1 port={port or self.port} dbname=orders user={user}"
        done = subprocess.run(
            [str(need("psql")), "-XAtq", f"{place} sslmode={tls} sslrootcert={self.folder}/tls/ca.crt", "-c", sql],
            env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return (done.stdout or done.stderr).strip()


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    pod = Pod(tmp_path / "pod")
    yield pod
    pod.kill()
    shutil.rmtree(pod.folder, ignore_errors=True)


async def test_a_new_volume_becomes_a_server_with_its_logins_and_no_others(pod: Pod) -> None:
    await pod.start()
    app, monitor = pod.secret("credentials"), pod.secret("monitor")
    assert pod.psql("orders", app, "create table kept as select 1 as x; select count(*) from kept") == "1"
    assert "no pg_hba.conf entry" in pod.psql("orders", app, "select 1", tls="disable"), "never in the clear"
    assert pod.psql("kgents", monitor, "select count(*) > 0 from pg_stat_statements") == "t"
    assert "permission denied" in pod.psql("kgents", monitor, "select * from kept")
    assert "authentication failed" in pod.psql("postgres", app, "select 1"), "no password opens the superuser"
    assert "permission denied" in pod.psql("orders", app, "create role mine")
    assert pod.psql("orders", app, "show data_checksums") == "on"
    log = (pod.folder / "log").read_text()
    assert not [each for each in ("credentials", "monitor", "pooler", "replicator") if pod.secret(each) in log]


def _is_there(sign: Path, last: Path) -> bool:
    """Of a file that is there for a moment, the end of the start is a sign too."""
    return sign.exists() or last.exists()


async def test_a_start_that_is_killed_anywhere_begins_again(pod: Pod) -> None:
    part = pod.data.with_name("pgdata.part")
    for sign in (part, part / "global" / "pg_control", part / "postmaster.pid", pod.data):
        pod.begin()
        await eventually(partial(_is_there, sign, pod.data))
        pod.kill()
        (pod.data / "postmaster.pid").unlink(missing_ok=True)  # as in a pod, where no other process has its number
    await pod.start()
    assert pod.psql("orders", pod.secret("credentials"), "select count(*) from pg_database") == "4"


async def test_a_new_secret_counts_from_the_next_start_on_the_same_data(pod: Pod) -> None:
    await pod.start()
    old = pod.secret("credentials")
    pod.psql("orders", old, "create schema own; create table own.kept as select 7 as x; drop schema public cascade")
    pod.stop()
    pod.give_secrets()
    await pod.start()
    assert pod.psql("orders", pod.secret("credentials"), "select x from own.kept") == "7"
    assert "authentication failed" in pod.psql("orders", old, "select 1")


async def test_what_is_no_whole_server_is_never_overwritten(pod: Pod) -> None:
    pod.data.mkdir()
    (pod.data / "precious").write_text("mine")
    shutil.chown(pod.data, owner().pw_uid, owner().pw_gid)
    pod.begin()
    assert pod.process is not None
    assert pod.process.wait(60) == 1
    assert "one without PG_VERSION" in (pod.folder / "log").read_text()
    assert (pod.data / "precious").read_text() == "mine"


async def test_a_server_that_has_answered_never_starts_as_an_empty_one(pod: Pod) -> None:
    (pod.folder / "config" / "founded").write_text("yes")
    pod.begin()
    assert pod.process is not None
    assert pod.process.wait(60) == 1
    assert "expected the data of this server" in (pod.folder / "log").read_text()
    assert not pod.data.exists()


async def test_dumps_are_kept_in_number_and_can_be_restored(pod: Pod) -> None:
    await pod.start()
    app = pod.secret("credentials")
    pod.psql("orders", app, "create table lines as select n, n * 7 as amount from generate_series(1, 1000) n")
    (command, script) = OBJECTS["CronJob", "orders-backup"]["spec"]["jobTemplate"]["spec"]["template"]["spec"][
        "containers"
    ][0]["command"]
    environment = pod.environment(("CronJob", "orders-backup")) | {
        "PGHOSTADDR": "127.0.0.1", "PGSSLROOTCERT": f"{pod.folder}/tls/ca.crt", "PGUSER": "orders", "PGPASSWORD": app,
    }  # fmt: skip
    for second in range(3):
        old = pod.folder / "backups" / f"orders-2026010{second + 1}T000000Z.dump"
        old.write_text("an older dump")
    (pod.folder / "backups" / "others-20260101T000000Z.dump").write_text("not ours")
    (pod.folder / "backups" / "orders-20260104T000000Z.dump.part").write_text("ended in the middle")
    shutil.chown(pod.folder / "backups", owner().pw_uid, owner().pw_gid)
    done = subprocess.run(
        [command, str(pod.folder / script.removeprefix("/"))],
        env=environment, capture_output=True, text=True, timeout=120, check=False, **pod.identity,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    left = sorted(path.name for path in (pod.folder / "backups").iterdir() if path.is_file())
    assert len(left) == 3, left
    assert left[0] == "orders-20260103T000000Z.dump"
    assert left[2] == "others-20260101T000000Z.dump", "only our own are removed"
    total = pod.psql("orders", app, "select sum(amount) from lines")
    pod.psql("orders", app, "drop table lines")
    with (pod.folder / "backups" / left[1]).open("rb") as dump:  # as `kubectl exec -i orders-0 -- …` does
        restored = subprocess.run(
            [str(programs_of(15) / "pg_restore"), "--username=postgres", "--dbname=orders", "--exit-on-error"],
            env=pod.environment(("StatefulSet", "orders")) | {"PGHOST": str(pod.folder / "run")},
            stdin=dump, capture_output=True, timeout=120, check=False, **pod.identity,
        )  # fmt: skip
    assert restored.returncode == 0, restored.stderr
    assert pod.psql("orders", app, "select sum(amount) from lines") == total == str(7 * 500500)


def archived(pod: Pod) -> subprocess.CompletedProcess[str]:
    """Run the container of the job that makes a base backup."""
    job = OBJECTS["CronJob", "orders-backup"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    command, script = job["containers"][1]["command"]
    environment = pod.environment(("CronJob", "orders-backup"), 1) | {
        "PGHOSTADDR": "127.0.0.1", "PGSSLROOTCERT": f"{pod.folder}/tls/ca.crt", "PGUSER": "replicator",
        "PGPASSWORD": pod.secret("replicator"),
    }  # fmt: skip
    return subprocess.run(
        [command, str(pod.folder / script.removeprefix("/"))],
        env=environment, capture_output=True, text=True, timeout=120, check=False, **pod.identity,
    )  # fmt: skip


async def test_the_server_is_restored_to_a_moment_of_the_past(pod: Pod) -> None:
    await pod.start()
    app, backups = pod.secret("credentials"), pod.folder / "backups"
    pod.psql("orders", app, "create table lines as select 1 as n")
    for day in (1, 2):
        old = backups / f"orders-base-2026010{day}T000000Z"
        old.mkdir()
        (old / "backup_label").write_text("START WAL LOCATION: 0/1000028 (file 000000010000000000000001)\n")
        for path in (old, old / "backup_label"):
            os.chown(path, owner().pw_uid, owner().pw_gid)
    done = archived(pod)
    assert done.returncode == 0, done.stderr
    pod.psql("orders", app, "insert into lines select generate_series(2, 1000)")
    moment = pod.psql("orders", app, "select clock_timestamp()")
    pod.psql("orders", app, "drop table lines")
    pod.stop()  # what is written by then is archived
    wal = backups / "orders-wal"
    kept, base = sorted(each for each in backups.iterdir() if each.name.startswith("orders-base-"))
    assert kept == old, "two are kept"
    shutil.rmtree(pod.data)
    (pod.folder / "config" / "founded").write_text("yes")
    pod.data.with_name("pgdata.restoring").mkdir()  # of a restore that was ended in the middle
    shutil.chown(pod.data.with_name("pgdata.restoring"), owner().pw_uid, owner().pw_gid)
    restored = subprocess.run(
        ["sh", str(pod.folder / "config/postgres-restore"), str(base), str(wal), str(pod.data), moment],
        env=pod.environment(("StatefulSet", "orders")), capture_output=True, text=True, timeout=60, check=False,
        **pod.identity,
    )  # fmt: skip
    assert restored.returncode == 0, restored.stderr
    await pod.start()
    assert pod.psql("orders", app, "select count(*) from lines") == "1000"


def test_a_part_of_the_log_is_archived_once_and_never_over_another(tmp_path: Path) -> None:
    def archive(content: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "segment").write_text(content)
        (tmp_path / "script").write_text(OBJECTS["ConfigMap", "orders-config"]["data"]["postgres-archive"])
        words = ["sh", str(tmp_path / "script"), str(tmp_path / "segment"), str(tmp_path / "archived")]
        return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)

    assert archive("one").returncode == 0
    assert archive("one").returncode == 0, "the server ended before it took note of it"
    assert archive("another").stderr.startswith(f"expected no {tmp_path}/archived or the same, found another")
    assert (tmp_path / "archived").read_text() == "one"


class Pooler(OwnProcess):
    """PgBouncer with the settings that its pods get."""

    def __init__(self, pod: Pod) -> None:
        self.port = free_port()
        self._pod = pod

    async def start(self) -> None:
        ini = (self._pod.folder / "config" / "pgbouncer.ini").read_text()
        ini = ini.replace("host=orders.shop.svc port=5432", f"host=127.0.0.1 port={self._pod.port}")
        ini = ini.replace("6432", str(self.port)).replace("/secrets/", f"{self._pod.folder}/secrets/pooler/")
        ini = ini.replace("verify-full", "verify-ca")  # no name here leads to this machine
        path = self._pod.folder / "pgbouncer.ini"
        path.write_text(ini)
        shutil.chown(path, owner().pw_uid, owner().pw_gid)
        with (self._pod.folder / "pooler.log").open("wb") as log:
            self._process = spawn([str(need("pgbouncer")), str(path)], stdout=log, stderr=log, **self._pod.identity)
        await until_ready(self._process, lambda: accepts(self.port), self._pod.folder / "pooler.log")


async def test_the_pooler_lets_applications_in_and_no_superuser(pod: Pod) -> None:
    await pod.start()
    pooler = Pooler(pod)
    await pooler.start()
    try:
        app = pod.secret("credentials")
        assert pod.psql("orders", app, "select current_user", port=pooler.port, tls="verify-ca") == "orders"
        assert "SSL required" in pod.psql("orders", app, "select 1", port=pooler.port, tls="disable")
        assert "orders" not in pod.psql("postgres", app, "select current_database()", port=pooler.port, tls="require")
    finally:
        pooler.kill()
