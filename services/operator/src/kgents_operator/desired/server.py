"""The one server of a PostgresCluster: StatefulSet, Service, ConfigMap, NetworkPolicy. Pure."""

from typing import Any, Final

from kgents_operator.desired import settings
from kgents_operator.desired.names import Names
from kgents_operator.desired.network import allowed, everywhere, policy, port
from kgents_operator.desired.owner import DATABASE, IDENTITY, MARK, RESTART, Owner, digest
from kgents_operator.desired.pods import (
    EXPORTER_UID,
    POSTGRES_UID,
    config,
    container,
    from_secret,
    mount,
    pod,
    secret,
    text,
)
from kgents_operator.files import text as file
from kgents_operator.images import Images
from kgents_operator.resources.postgres import PORT, Spec

Json = dict[str, Any]

CLIENT: Final = "uses-postgres"
"""The label of pods that may connect to the databases of their namespace, as in deploy/databases."""
LOGINS: Final = ("credentials", "monitor", "replicator", "pooler")
SERVER_FILES: Final = ("pg_hba.conf", "roles.sql", "database.sql", "logins.sql", "postgres-start")
"""Beside its settings, what the server starts with: only a change of these starts it again."""
FOLDER: Final = "/var/lib/postgresql/data"
PGDATA: Final = f"{FOLDER}/pgdata"
SOCKET: Final = "/var/run/postgresql"
_EXPORTER_QUERY: Final = "sslmode=require"


def identity(spec: Spec) -> str:
    """What is on the volume: a volume of another database or version is never taken."""
    return f"{spec.database}/{spec.version}"


def configuration(owner: Owner, names: Names, spec: Spec) -> Json:
    """The ConfigMap: settings and scripts, of which none is a secret."""
    found = {each: file(each) for each in (*SERVER_FILES, "postgres-dump", "postgres-backup")}
    found |= {"postgresql.conf": settings.postgresql(spec), "pgbouncer.ini": settings.pgbouncer(spec, names.host)}
    return owner.owned("v1", "ConfigMap", names.config, DATABASE) | {"data": found}


def service(owner: Owner, names: Names) -> Json:
    """The Service of the server, whose name is also that of its pod's domain."""
    spec = {"selector": owner.selector(DATABASE), "ports": [port("postgres", PORT)]}
    return owner.owned("v1", "Service", names.name, DATABASE) | {"spec": spec}


def statefulset(owner: Owner, names: Names, spec: Spec, images: Images, restart: str, size: int | str) -> Json:
    """The server. `size`: of the volume as it was made, which no StatefulSet can change; claims grow by themselves."""
    labels = owner.labels(DATABASE) | {MARK: "postgres"}
    read = {"postgresql.conf": settings.postgresql(spec), **{each: file(each) for each in SERVER_FILES}}
    annotations = {"kgents.io/config": digest(read)} | ({RESTART: restart} if restart else {})
    storage: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": str(size)}}}
    if spec.storage.storage_class_name is not None:
        storage["storageClassName"] = spec.storage.storage_class_name
    claim_metadata = {"name": "data", "annotations": {IDENTITY: identity(spec)}, "labels": owner.labels(DATABASE)}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": claim_metadata, "spec": storage}
    when_deleted = spec.deletion_policy
    return owner.owned("apps/v1", "StatefulSet", names.name, DATABASE) | {
        "spec": {
            "serviceName": names.name,
            "replicas": 1,
            "selector": {"matchLabels": owner.selector(DATABASE)},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": when_deleted, "whenScaled": "Retain"},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": _pod(names, spec, images),
            },
            "volumeClaimTemplates": [claim],
        }
    }


def network(owner: Owner, spec: Spec) -> Json:
    """Who may connect: clients and our own pods of this namespace, collector-db, and Prometheus to the exporter."""
    inside = [
        {"podSelector": {"matchLabels": {CLIENT: "true"}}},
        {"podSelector": {"matchLabels": {owner.label: owner.name}}},
        everywhere("collector-db"),
    ]
    rules: list[Json] = [{"from": inside, "ports": [allowed(PORT)]}]
    if spec.metrics.enabled:
        rules.append({"from": [everywhere("prometheus")], "ports": [allowed(spec.metrics.port)]})
    return policy(owner, DATABASE, owner.selector(DATABASE), rules)


def _pod(names: Names, spec: Spec, images: Images) -> Json:
    tls = spec.tls.secret_name or names.secret("tls")
    volumes = [
        config("config", names.config),
        secret("tls", tls, "tls.crt", "tls.key"),
        *(secret(each, names.secret(each), "password") for each in LOGINS),
        {"name": "run", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
    ]
    containers = [_server(spec, images)]
    if spec.metrics.enabled:
        containers.append(_exporter(names, spec, images))
    # A server that writes its last checkpoint is not to be killed.
    return pod(POSTGRES_UID, containers, volumes, terminationGracePeriodSeconds=120)


def _server(spec: Spec, images: Images) -> Json:
    # Over TCP: while roles are made, the server listens on its socket alone.
    is_ready = {"exec": {"command": ["pg_isready", "--quiet", "--host=127.0.0.1", "--username=postgres"]}}
    asked = {
        kind: {"cpu": str(each.cpu), "memory": str(each.memory)}
        for kind, each in (("requests", spec.resources.requests), ("limits", spec.resources.limits))
    }
    return container(
        "postgres",
        images.postgres.replace("{version}", str(spec.version)),
        command=["sh", "/config/postgres-start"],
        env=[
            text("DATABASE", spec.database),
            text("PGDATA", PGDATA),
            text("PGHOST", SOCKET),
            text("CONFIG", "/config"),
            text("SECRETS", "/secrets"),
        ],
        ports=[{"name": "postgres", "containerPort": PORT, "protocol": "TCP"}],
        resources=asked,
        # A server that recovers after a crash may take an hour. Nothing but its own end restarts it: what kills one
        # that is slow or full makes it recover again and again.
        startupProbe=is_ready | {"periodSeconds": 10, "failureThreshold": 360, "timeoutSeconds": 5},
        readinessProbe=is_ready | {"periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 5},
        volumeMounts=[
            mount("data", FOLDER, writable=True),
            mount("run", SOCKET, writable=True),
            mount("tmp", "/tmp", writable=True),  # noqa: S108 - a volume of this pod alone
            mount("memory", "/dev/shm", writable=True),  # noqa: S108 - as above
            mount("config", "/config"),
            mount("tls", settings.TLS),
            *(mount(each, f"/secrets/{each}") for each in LOGINS),
        ],
    )


def _exporter(names: Names, spec: Spec, images: Images) -> Json:
    found = container(
        "exporter",
        images.postgres_exporter,
        args=[f"--web.listen-address=:{spec.metrics.port}"],
        env=[
            text("DATA_SOURCE_URI", f"127.0.0.1:{PORT}/{spec.database}?{_EXPORTER_QUERY}"),
            text("DATA_SOURCE_USER", "kgents"),
            from_secret("DATA_SOURCE_PASS", names.secret("monitor"), "password"),
        ],
        ports=[{"name": "metrics", "containerPort": spec.metrics.port, "protocol": "TCP"}],
        resources={"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
    )
    found["securityContext"] |= {"runAsUser": EXPORTER_UID}
    return found
