"""Copies of a RedisCluster, with the script of deploy/databases that is restored in tests. Pure."""

from typing import Any

from kgents_operator.desired import backup
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.pods import REDIS_UID, container, from_secret, mount, secret, text
from kgents_operator.desired.redis_names import RedisNames
from kgents_operator.images import Images
from kgents_operator.resources.redis import PORT, Spec

Json = dict[str, Any]


def cronjob(owner: Owner, names: RedisNames, spec: Spec, images: Images) -> Json | None:
    """The CronJob; None: no backup is asked for."""
    saving = container(
        "copy",
        spec.image or images.redis,
        command=["sh", "/config/redis-backup"],
        env=[
            *backup.asked_for(names, spec.backup),
            text("TLS", "/tls"),
            text("PRIMARY", names.host),
            text("PORT", str(PORT)),
            from_secret("REDISCLI_AUTH", names.secret("backup"), "password"),
        ],
        resources={"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        volumeMounts=[*backup.mounts(), mount("ca", "/tls")],
    )
    authority = secret("ca", spec.tls.secret_name or names.secret("tls"), "ca.crt")
    return backup.cronjob(owner, names, spec.backup, REDIS_UID, [saving], [authority])
