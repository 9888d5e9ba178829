"""`python -m databases_trial [production]`: deploy/databases as its page prints it, on an engine of its own.

As root on Linux, with the servers that `make servers` installs; no registry of images is asked. PostgreSQL, PgBouncer
and Valkey (in production Redis) run in images that are made of the programs of this machine; the entry point of
PostgreSQL's does what that of the official image does with an empty folder of data. There is no Qdrant for this
machine, so it is left out. Prints what became of each container, and whether PostgreSQL archives and copies.
"""

import io
import os
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import trustme

from compose_trial import TOOLS, compose_plugin, foreign_image, import_image, linked, needed, run, say
from kgents_shared.runtime.config import process_environ
from release.closure import ROOT
from support.docker_engine import docker_engine
from support.waiting import eventually_blocking

UP_S: Final = 300.0
USERS: Final = {"postgres": 999, "pgbouncer": 70, "redis": 999}
"""Who runs in each image."""
POSTGRES: Final = Path("/usr/lib/postgresql/15")
SHARED: Final = (Path("/usr/share/postgresql/15"), Path("/usr/share/zoneinfo"), Path("/usr/lib/locale/C.utf8"))
ENTRYPOINT: Final = """#!/bin/sh
set -eu
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 --pgdata="$PGDATA" >/dev/null
fi
exec "$@"
"""
AUTHORITIES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
NC: Final = """#!/bin/sh
exec busybox nc -w 2 "$2" "$3" -e true
"""
"""`nc -z HOST PORT` of Alpine's busybox; Debian's is built without `-z`."""
NO_QDRANT: Final = "services: {qdrant: !reset null}\n"
BLOCK: Final = re.compile(r"```sh\n(cd deploy/databases\n.*?)```", re.DOTALL)
STATE: Final = """
select 'archived ' || (archived_count > 0 and failed_count = 0) from pg_stat_archiver;
select 'copied to ' || count(*) || ', ' || count(*) filter (where state = 'streaming') from pg_stat_replication;
"""


def main(words: list[str]) -> None:
    """Start it by the commands of its page, or with the files of production, see how it is, and take it away."""
    engine = docker_engine()
    with tempfile.TemporaryDirectory(prefix="kgents-databases-") as directory:
        folder = Path(directory)
        databases = shutil.copytree(ROOT / "deploy", folder / "deploy") / "databases"
        config = compose_plugin(folder / "docker")
        environ = {**process_environ(), "DOCKER_CONFIG": str(config), "DOCKER_HOST": engine.url}
        environ |= images(engine.url, "redis-server" if words else "valkey")
        files = ["compose.yaml", *(["compose.production.yaml"] if words else []), "without-qdrant.yaml"]
        (databases / "without-qdrant.yaml").write_text(NO_QDRANT)
        environ["COMPOSE_FILE"] = ":".join(files)
        if words:
            certify(databases / "tls")
        compose = ("docker", "compose")
        try:
            run(["bash", "-euo", "pipefail", "-c", page()], folder, environ, within_s=UP_S)
            switch = ["exec", "-T", "postgres", "psql", "-qc", "select pg_switch_wal()"]
            run([*compose, *switch], databases, environ)
            asked = [*compose, "exec", "-T", "postgres", "psql", "-Atc", STATE]
            eventually_blocking(lambda: "archived true" in run(asked, databases, environ), UP_S)
            say(run(asked, databases, environ))
            say(run([*compose, "ps", "-a", "--format", "table {{.Service}}\t{{.Status}}"], databases, environ))
        except BaseException:
            say(run([*compose, "logs", "--tail", "20"], databases, environ))
            raise
        finally:
            run([*compose, "down", "-v", "-t", "5"], databases, environ, within_s=UP_S)


def page() -> str:
    """The commands that the page prints."""
    found = BLOCK.search((ROOT / "deploy/databases/README.md").read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit("expected the commands of deploy/databases/README.md, found none")
    return found[1]


def certify(folder: Path) -> None:
    """A key and a certificate for each server, of the user of its container."""
    authority = trustme.CA()
    for name, uid in USERS.items():
        own = folder / name
        own.mkdir(parents=True)
        issued = authority.issue_cert(name, f"{name}-replica")
        (own / "ca.crt").write_bytes(authority.cert_pem.bytes())
        (own / "tls.crt").write_bytes(issued.cert_chain_pems[0].bytes())
        (own / "tls.key").write_bytes(issued.private_key_pem.bytes())
        for file in own.iterdir():
            os.chown(file, uid, uid)
        (own / "tls.key").chmod(0o600)


def images(url: str, redis: str) -> dict[str, str]:
    """The images, as variables of the Compose file; `redis`: the program, of which only Debian's knows TLS."""
    programs = {"valkey-server": needed(redis), "valkey-cli": needed("redis-cli")}
    changes = ["--change", 'ENTRYPOINT ["/entrypoint"]', "--change", f"ENV PATH={POSTGRES}/bin:/bin"]
    changes += ["--change", "ENV PGDATA=/var/lib/postgresql/data"]
    import_image(postgres(), "trial-postgres:1", url, *changes)
    import_image(pgbouncer(), "trial-pgbouncer:1", url, "--change", "USER 70", "--change", "ENV PATH=/bin:/usr/sbin")
    return {
        "POSTGRES_IMAGE": "trial-postgres:1",
        "PGBOUNCER_IMAGE": "trial-pgbouncer:1",
        "REDIS_IMAGE": foreign_image(url, programs, "data", USERS["redis"]),
    }


def postgres() -> bytes:
    """Debian's PostgreSQL, with a folder for data that is its own."""
    binaries = [*(POSTGRES / "bin").iterdir(), *(POSTGRES / "lib").glob("*.so")]
    folders = {"var/lib/postgresql/data": USERS["postgres"], "var/run/postgresql": USERS["postgres"]}
    return file_system([POSTGRES, *SHARED], binaries, folders, {"entrypoint": ENTRYPOINT})


def pgbouncer() -> bytes:
    """Debian's PgBouncer, which starts with TLS only where the authorities of the system are, whatever it is given."""
    program = needed("pgbouncer")
    return file_system([program, AUTHORITIES], [program], {}, {"bin/nc": NC})


def file_system(
    paths: Iterable[Path], binaries: Iterable[Path], folders: Mapping[str, int], scripts: Mapping[str, str]
) -> bytes:
    """A file system of these, what they are linked with, a shell, and who runs there."""
    content = io.BytesIO()
    names = "".join(f"{name}:x:{uid}:{uid}::/:/bin/sh\n" for name, uid in {"root": 0, **USERS}.items())
    groups = "".join(f"{name}:x:{uid}:\n" for name, uid in {"root": 0, **USERS}.items())
    with tarfile.open(fileobj=content, mode="w", dereference=True) as tar:
        for folder, uid in {"tmp": 0, **folders}.items():
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o1777 if uid == 0 else 0o700, uid, uid
            tar.addfile(entry)
        for path in paths:
            tar.add(path, str(path).lstrip("/"))
        for library in sorted({each for binary in binaries for each in linked(binary)}):
            tar.add(library, library.lstrip("/"))
        tar.add("/bin/busybox", "bin/busybox")
        for tool in (*TOOLS, "chown", "cp", "mv", "sync", "true", "printf"):
            link = tarfile.TarInfo(f"bin/{tool}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name, text in {"etc/passwd": names, "etc/group": groups, **scripts}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
    return content.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
