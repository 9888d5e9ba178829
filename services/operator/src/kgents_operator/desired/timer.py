"""What ends a cut where no operator runs: a Job that is done at once, and that Kubernetes deletes after a time. Pure.

With it goes what has it as its owner. None of its pods is ever made.
"""

from typing import Any, Final

from kgents_operator.desired.owner import Owner
from kgents_operator.desired.pods import EXPORTER_UID, container, pod

Json = dict[str, Any]

GRACE_S: Final = 60
"""An operator that runs ends a cut itself, so much before the Job goes."""


def timer(owner: Owner, image: str, seconds: int) -> Json:
    """The Job of a Disruption, with which it goes, too."""
    found = owner.owned("batch/v1", "Job", "", "timer")
    found["metadata"] |= {"generateName": f"{owner.name}-"}
    del found["metadata"]["name"]
    nothing = container("nothing", image, command=["true"], resources={"limits": {"cpu": "10m", "memory": "16Mi"}})
    template = pod(EXPORTER_UID, [nothing], [], restartPolicy="Never")
    spec = {"completions": 0, "parallelism": 0, "ttlSecondsAfterFinished": seconds + GRACE_S}
    return found | {"spec": spec | {"template": {"spec": template}}}


def reference(name: str, uid: str) -> Json:
    """To the Job, of what goes with it."""
    return {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid, "blockOwnerDeletion": False}
