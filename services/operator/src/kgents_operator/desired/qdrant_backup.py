"""Snapshots of a QdrantCluster, with the script of deploy/databases that is restored in tests. Pure."""

from typing import Any

from kgents_operator.desired import backup, pods
from kgents_operator.desired.qdrant_server import Made

Json = dict[str, Any]


def cronjob(made: Made) -> Json | None:
    """The CronJob; None: no backup is asked for."""
    names, spec = made.names, made.spec
    copying = pods.container(
        "copy",
        made.images.curl,
        command=["sh", "/config/qdrant-backup"],
        env=[
            *backup.asked_for(names, spec.backup),
            pods.text("PEERS", " ".join(names.node(names.peer(each)) for each in range(spec.replicas))),
            *made.asking(),
        ],
        resources={"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        volumeMounts=[*backup.mounts(), *made.asking_mounts()],
    )
    return backup.cronjob(made.owner, names, spec.backup, pods.QDRANT_UID, [copying], made.asking_from())
