"""Copies of a RedisCluster by a CronJob, with the script of deploy/databases that is restored in tests. Pure."""

from typing import Any

from kgents_operator.desired.backup import BACKUP, FOLDER, scheduled
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.pods import REDIS_UID, config, container, from_secret, mount, pod, secret, text
from kgents_operator.desired.redis_names import RedisNames
from kgents_operator.images import Images
from kgents_operator.resources.redis import PORT, Spec

Json = dict[str, Any]


def cronjob(owner: Owner, names: RedisNames, spec: Spec, images: Images) -> Json | None:
    """The CronJob; None: no backup is asked for."""
    if not spec.backup.enabled or spec.backup.schedule is None or spec.backup.destination is None:
        return None
    saving = container(
        "copy",
        spec.image or images.redis,
        command=["sh", "/config/redis-backup"],
        env=[
            text("NAME", names.name),
            text("KEEP", str(spec.backup.keep)),
            text("CONFIG", "/config"),
            text("TLS", "/tls"),
            text("BACKUPS", FOLDER),
            text("PRIMARY", names.host),
            text("PORT", str(PORT)),
            from_secret("REDISCLI_AUTH", names.secret("backup"), "password"),
        ],
        resources={"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        volumeMounts=[mount("config", "/config"), mount("ca", "/tls"), mount("backups", FOLDER, writable=True)],
    )
    template = pod(
        REDIS_UID,
        [saving],
        [
            config("config", names.config),
            secret("ca", spec.tls.secret_name or names.secret("tls"), "ca.crt"),
            {"name": "backups", "persistentVolumeClaim": {"claimName": spec.backup.destination.claim_name}},
        ],
        restartPolicy="Never",
    )
    return owner.owned("batch/v1", "CronJob", names.backup, BACKUP) | {
        "spec": scheduled(owner, spec.backup.schedule, template)
    }
