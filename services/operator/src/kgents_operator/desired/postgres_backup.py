"""Dumps of a PostgresCluster, with the script of deploy/databases that is restored in tests. Pure."""

from typing import Any

from kgents_operator.desired import backup, settings
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.pods import POSTGRES_UID, container, from_secret, mount, secret, text
from kgents_operator.desired.postgres_names import PostgresNames
from kgents_operator.images import Images
from kgents_operator.resources.postgres import PORT, Spec

Json = dict[str, Any]


def cronjob(owner: Owner, names: PostgresNames, spec: Spec, images: Images) -> Json | None:
    """The CronJob; None: no backup is asked for."""
    authority = f"{names.name}-ca" if names.is_cnpg else spec.tls.secret_name or names.secret("tls")
    volumes = [secret("ca", authority, "ca.crt"), {"name": "tmp", "emptyDir": {}}]
    copying = [_dump(names, spec, images)]
    if settings.archives(spec) and not names.is_cnpg:
        copying.append(_base(names, spec, images))
    return backup.cronjob(owner, names, spec.backup, POSTGRES_UID, copying, volumes)


def _dump(names: PostgresNames, spec: Spec, images: Images) -> Json:
    login = f"{names.name}-app" if names.is_cnpg else names.secret("credentials")
    return _container("dump", "postgres-backup", login, [text("DATABASE", spec.database)], names, spec, images)


def _base(names: PostgresNames, spec: Spec, images: Images) -> Json:
    archive = text("ARCHIVE", f"{backup.FOLDER}/{names.archive}")
    return _container("base", "postgres-archived", names.secret("replicator"), [archive], names, spec, images)


def _container(
    name: str, script: str, login: str, env: list[Json], names: PostgresNames, spec: Spec, images: Images
) -> Json:
    return container(
        name,
        images.postgres.replace("{version}", str(spec.version)),
        command=["sh", f"/config/{script}"],
        env=[
            *env,
            *backup.asked_for(names, spec.backup),
            text("PGHOST", names.host),
            text("PGPORT", str(PORT)),
            text("PGSSLMODE", "verify-full"),
            text("PGSSLROOTCERT", "/tls/ca.crt"),
            from_secret("PGUSER", login, "username"),
            from_secret("PGPASSWORD", login, "password"),
        ],
        resources={"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        volumeMounts=[
            *backup.mounts(),
            mount("ca", "/tls"),
            mount("tmp", "/tmp", writable=True),  # noqa: S108 - a volume of this pod alone
        ],
    )
