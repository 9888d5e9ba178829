"""Copies of the data by a CronJob, whatever makes them. Pure."""

from typing import Any, Final

from kgents_operator.desired.names import Names
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.pods import config, mount, pod, text
from kgents_operator.resources.backup import Backup

Json = dict[str, Any]

BACKUP: Final = "backup"
FOLDER: Final = "/backups"
LATE_S: Final = 3600
"""A copy that cannot begin within an hour waits for the next time."""
LONGEST_S: Final = 24 * 3600
"""A copy that takes longer hangs: it would keep all others from being made, and none would have failed."""


def cronjob(
    owner: Owner, names: Names, asked: Backup, uid: int, containers: list[Json], volumes: list[Json]
) -> Json | None:
    """The CronJob; None: no backup is asked for. `volumes`: beside the scripts and where copies are written."""
    if not asked.enabled or asked.schedule is None or asked.destination is None:
        return None
    copies = {"name": "backups", "persistentVolumeClaim": {"claimName": asked.destination.claim_name}}
    template = pod(uid, containers, [config("config", names.config), *volumes, copies], restartPolicy="Never")
    metadata = {"labels": owner.labels(BACKUP)}
    job = {"backoffLimit": 2, "activeDeadlineSeconds": LONGEST_S, "template": {"metadata": metadata, "spec": template}}
    return owner.owned("batch/v1", "CronJob", names.backup, BACKUP) | {
        "spec": {
            "schedule": asked.schedule,
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "suspend": False,  # stated, so that it is put right: a schedule that rests in silence makes no copies
            "startingDeadlineSeconds": LATE_S,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"metadata": metadata, "spec": job},
        }
    }


def asked_for(names: Names, asked: Backup) -> list[Json]:
    """The variables of every script."""
    found = {"NAME": names.name, "KEEP": str(asked.keep), "CONFIG": "/config", "BACKUPS": FOLDER}
    return [text(name, value) for name, value in found.items()]


def mounts() -> list[Json]:
    """Where the scripts are, and where copies are written."""
    return [mount("config", "/config"), mount("backups", FOLDER, writable=True)]
