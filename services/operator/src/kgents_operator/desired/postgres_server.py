"""The one server of a PostgresCluster: StatefulSet, Service, ConfigMap, NetworkPolicy. Pure."""

from typing import Any, Final

from kgents_operator.desired import pods, settings, stateful
from kgents_operator.desired.network import port
from kgents_operator.desired.outcome import Volume
from kgents_operator.desired.owner import DATABASE, Owner
from kgents_operator.desired.postgres_names import PostgresNames
from kgents_operator.desired.stateful import VOLUME, Stateful
from kgents_operator.files import text as file
from kgents_operator.images import Images
from kgents_operator.resources.postgres import PORT, Spec

Json = dict[str, Any]

CLIENT: Final = "uses-postgres"
"""The label of pods that may connect to the databases of their namespace, as in deploy/databases."""
LOGINS: Final = ("credentials", "monitor", "replicator", "pooler")
SERVER_FILES: Final = ("pg_hba.conf", "roles.sql", "database.sql", "logins.sql", "postgres-start")
BACKUP_FILES: Final = (
    "postgres-dump", "postgres-backup", "postgres-base", "postgres-archive", "postgres-archived", "postgres-restore",
)  # fmt: skip
"""Beside its settings, what the server starts with: only a change of these starts it again."""
FOLDER: Final = "/var/lib/postgresql/data"
PGDATA: Final = f"{FOLDER}/pgdata"
SOCKET: Final = "/var/run/postgresql"
_EXPORTER_QUERY: Final = "sslmode=require"


def volume(spec: Spec) -> Volume:
    """Of the server. A volume of another database or version is never taken."""
    holds, asked = f"{spec.database}/{spec.version}", spec.storage
    return Volume(holds, str(asked.size), asked.storage_class_name, spec.deletion_policy)


def configuration(owner: Owner, names: PostgresNames, spec: Spec, founded: str = "") -> Json:
    """The ConfigMap: settings and scripts, of which none is a secret."""
    found = {each: file(each) for each in (*SERVER_FILES, *BACKUP_FILES)}
    found |= {
        stateful.FOUNDED: founded,
        "postgresql.conf": settings.postgresql(spec),
        "pgbouncer.ini": settings.pgbouncer(spec, names.host),
    }
    return owner.owned("v1", "ConfigMap", names.config, DATABASE) | {"data": found}


def service(owner: Owner, names: PostgresNames) -> Json:
    """The Service of the server, whose name is also that of its pod's domain."""
    spec = {"selector": owner.selector(DATABASE), "ports": [port("postgres", PORT)]}
    return owner.owned("v1", "Service", names.name, DATABASE) | {"spec": spec}


def statefulset(
    owner: Owner, names: PostgresNames, spec: Spec, images: Images, restart: str, current: Json | None
) -> Json:
    """The server. `current`: as it is."""
    server = Stateful(
        component=DATABASE,
        name=names.name,
        service=names.name,
        replicas=1,
        mark="postgres",
        read={"postgresql.conf": settings.postgresql(spec), **{each: file(each) for each in SERVER_FILES}},
        restart=restart,
        pod=_pod(names, spec, images),
        volume=volume(spec),
    )
    return stateful.statefulset(owner, server, current)


def network(owner: Owner, spec: Spec) -> Json:
    """Who may connect to it, and to its exporter."""
    metrics = spec.metrics.port if spec.metrics.enabled else None
    return stateful.network(owner, DATABASE, owner.selector(DATABASE), CLIENT, [PORT], metrics)


def _pod(names: PostgresNames, spec: Spec, images: Images) -> Json:
    tls = spec.tls.secret_name or names.secret("tls")
    volumes = [
        pods.config("config", names.config),
        pods.secret("tls", tls, "tls.crt", "tls.key"),
        *(pods.secret(each, names.secret(each), "password") for each in LOGINS),
        {"name": "run", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
    ]
    if settings.archives(spec) and spec.backup.destination is not None:
        volumes.append({"name": "archive", "persistentVolumeClaim": {"claimName": spec.backup.destination.claim_name}})
    containers = [_server(names, spec, images)]
    if spec.metrics.enabled:
        containers.append(_exporter(names, spec, images))
    # A server that writes its last checkpoint is not to be killed.
    return pods.pod(pods.POSTGRES_UID, containers, volumes, terminationGracePeriodSeconds=120)


def _server(names: PostgresNames, spec: Spec, images: Images) -> Json:
    # Over TCP: while roles are made, the server listens on its socket alone.
    is_ready = {"exec": {"command": ["pg_isready", "--quiet", "--host=127.0.0.1", "--username=postgres"]}}
    archive = [pods.mount("archive", settings.ARCHIVE, writable=True) | {"subPath": names.archive}]
    return pods.container(
        "postgres",
        images.postgres.replace("{version}", str(spec.version)),
        command=["sh", "/config/postgres-start"],
        env=[
            pods.text("DATABASE", spec.database),
            pods.text("PGDATA", PGDATA),
            pods.text("PGHOST", SOCKET),
            pods.text("CONFIG", "/config"),
            pods.text("SECRETS", "/secrets"),
        ],
        ports=[{"name": "postgres", "containerPort": PORT, "protocol": "TCP"}],
        resources=stateful.bounded(spec.resources),
        # A server that recovers after a crash may take an hour. Nothing but its own end restarts it: what kills one
        # that is slow or full makes it recover again and again.
        startupProbe=is_ready | {"periodSeconds": 10, "failureThreshold": 360, "timeoutSeconds": 5},
        readinessProbe=is_ready | {"periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 5},
        volumeMounts=[
            pods.mount(VOLUME, FOLDER, writable=True),
            pods.mount("run", SOCKET, writable=True),
            pods.mount("tmp", "/tmp", writable=True),  # noqa: S108 - a volume of this pod alone
            pods.mount("memory", "/dev/shm", writable=True),  # noqa: S108 - as above
            pods.mount("config", "/config"),
            pods.mount("tls", settings.TLS),
            *(pods.mount(each, f"/secrets/{each}") for each in LOGINS),
            *(archive if settings.archives(spec) else []),
        ],
    )


def _exporter(names: PostgresNames, spec: Spec, images: Images) -> Json:
    port = spec.metrics.port
    env = [
        pods.text("DATA_SOURCE_URI", f"127.0.0.1:{PORT}/{spec.database}?{_EXPORTER_QUERY}"),
        pods.text("DATA_SOURCE_USER", "kgents"),
        pods.from_secret("DATA_SOURCE_PASS", names.secret("monitor"), "password"),
    ]
    return stateful.exporter(images.postgres_exporter, port, [f"--web.listen-address=:{port}"], env)
