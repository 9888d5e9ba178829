"""Dumps by a CronJob, with the script of deploy/databases that is restored in tests. Pure."""

from typing import Any, Final

from kgents_operator.desired import settings
from kgents_operator.desired.names import Names
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.pods import POSTGRES_UID, config, container, from_secret, mount, pod, secret, text
from kgents_operator.images import Images
from kgents_operator.resources.postgres import PORT, Spec

Json = dict[str, Any]

BACKUP: Final = "backup"
FOLDER: Final = "/backups"
LATE_S: Final = 3600
"""A dump that cannot begin within an hour waits for the next time."""


def cronjob(owner: Owner, names: Names, spec: Spec, images: Images) -> Json | None:
    """The CronJob; None: no backup is asked for."""
    if not spec.backup.enabled or spec.backup.schedule is None or spec.backup.destination is None:
        return None
    own_authority = spec.tls.secret_name or names.secret("tls")
    template = pod(
        POSTGRES_UID,
        [_dump(names, spec, images), *([_base(names, spec, images)] if _archives(names, spec) else [])],
        [
            config("config", names.config),
            secret("ca", f"{names.name}-ca" if names.is_cnpg else own_authority, "ca.crt"),
            {"name": "tmp", "emptyDir": {}},
            {"name": "backups", "persistentVolumeClaim": {"claimName": spec.backup.destination.claim_name}},
        ],
        restartPolicy="Never",
    )
    return owner.owned("batch/v1", "CronJob", names.backup, BACKUP) | {
        "spec": scheduled(owner, spec.backup.schedule, template)
    }


def scheduled(owner: Owner, schedule: str, template: Json) -> Json:
    """A pod at set times, one at a time."""
    metadata = {"labels": owner.labels(BACKUP)}
    job = {"backoffLimit": 2, "template": {"metadata": metadata, "spec": template}}
    return {
        "schedule": schedule,
        "timeZone": "Etc/UTC",
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": LATE_S,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {"metadata": metadata, "spec": job},
    }


def _archives(names: Names, spec: Spec) -> bool:
    return settings.archives(spec) and not names.is_cnpg


def _dump(names: Names, spec: Spec, images: Images) -> Json:
    login = f"{names.name}-app" if names.is_cnpg else names.secret("credentials")
    return _container("dump", "postgres-backup", login, [text("DATABASE", spec.database)], names, spec, images)


def _base(names: Names, spec: Spec, images: Images) -> Json:
    archive = text("ARCHIVE", f"{FOLDER}/{names.archive}")
    return _container("base", "postgres-archived", names.secret("replicator"), [archive], names, spec, images)


def _container(name: str, script: str, login: str, env: list[Json], names: Names, spec: Spec, images: Images) -> Json:
    return container(
        name,
        images.postgres.replace("{version}", str(spec.version)),
        command=["sh", f"/config/{script}"],
        env=[
            *env,
            text("NAME", names.name),
            text("KEEP", str(spec.backup.keep)),
            text("CONFIG", "/config"),
            text("BACKUPS", FOLDER),
            text("PGHOST", names.host),
            text("PGPORT", str(PORT)),
            text("PGSSLMODE", "verify-full"),
            text("PGSSLROOTCERT", "/tls/ca.crt"),
            from_secret("PGUSER", login, "username"),
            from_secret("PGPASSWORD", login, "password"),
        ],
        resources={"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        volumeMounts=[
            mount("config", "/config"),
            mount("ca", "/tls"),
            mount("tmp", "/tmp", writable=True),  # noqa: S108 - a volume of this pod alone
            mount("backups", FOLDER, writable=True),
        ],
    )
