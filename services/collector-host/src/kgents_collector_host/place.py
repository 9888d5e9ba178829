"""The path of a control group → the unit, container or pod whose processes are in it. Pure."""

import re
from functools import lru_cache
from typing import Final

from msgspec import Struct

_ID: Final = r"([0-9a-f]{64})"
_CONTAINERS: Final = (
    re.compile(rf"(?:docker|cri-containerd|crio|libpod|nerdctl|cri-o)-{_ID}\.scope"),
    re.compile(rf".*:(?:cri-containerd|crio|docker):{_ID}"),
    re.compile(_ID),
)
"""Elements of a path that name a container. The monitors beside them, `crio-conmon-…` and `libpod-conmon-…`, do not."""
_POD: Final = re.compile(r"(?:.*-)?pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?")
_UNIT: Final = re.compile(r"[A-Za-z0-9:_.\\@-]+\.service")
_PASSING: Final = re.compile(r"(?:run|app|session|user)[-@].*")
"""Units that are made for one command or one login: by their own names there would be no end of them."""


def is_passing(unit: str) -> bool:
    """Whether a unit is made for one command or one login."""
    return _PASSING.fullmatch(unit) is not None


class Place(Struct, frozen=True, gc=False):
    """Where processes run. All empty: in no unit, as on a machine without systemd, or in a login."""

    unit: str = ""
    """`nginx.service`."""
    container_id: str = ""
    pod_uid: str = ""


@lru_cache(maxsize=4096)
def place_of(path: str) -> Place:
    """The outermost container of a path, else its innermost unit: what runs inside a container is the container's."""
    unit = pod = ""
    for element in path.split("/"):
        if found := _POD.fullmatch(element):
            pod = found[1].replace("_", "-")
        for container in _CONTAINERS:
            if found := container.fullmatch(element):
                return Place(container_id=found[1], pod_uid=pod)
        if _UNIT.fullmatch(element) and not is_passing(element):
            unit = element
    return Place(unit=unit, pod_uid=pod)
