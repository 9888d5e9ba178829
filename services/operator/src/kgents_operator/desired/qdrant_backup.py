"""Snapshots of a QdrantCluster by a CronJob, with the script of deploy/databases that is restored in tests. Pure."""

from typing import Any

from kgents_operator.desired import pods
from kgents_operator.desired.backup import BACKUP, FOLDER, scheduled
from kgents_operator.desired.qdrant_server import Made

Json = dict[str, Any]


def cronjob(made: Made) -> Json | None:
    """The CronJob; None: no backup is asked for."""
    names, spec = made.names, made.spec
    if not spec.backup.enabled or spec.backup.schedule is None or spec.backup.destination is None:
        return None
    copying = pods.container(
        "copy",
        made.images.curl,
        command=["sh", "/config/qdrant-backup"],
        env=[
            pods.text("NAME", names.name),
            pods.text("KEEP", str(spec.backup.keep)),
            pods.text("CONFIG", "/config"),
            pods.text("BACKUPS", FOLDER),
            pods.text("PEERS", " ".join(f"{names.peer(each)}.{names.domain}" for each in range(spec.replicas))),
            *made.asking(),
        ],
        resources={"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        volumeMounts=[
            pods.mount("config", "/config"),
            pods.mount("backups", FOLDER, writable=True),
            *made.asking_mounts(),
        ],
    )
    volumes = [
        pods.config("config", names.config),
        {"name": "backups", "persistentVolumeClaim": {"claimName": spec.backup.destination.claim_name}},
        *made.asking_from(),
    ]
    template = pods.pod(pods.QDRANT_UID, [copying], volumes, restartPolicy="Never")
    return made.owner.owned("batch/v1", "CronJob", names.backup, BACKUP) | {
        "spec": scheduled(made.owner, spec.backup.schedule, template)
    }
