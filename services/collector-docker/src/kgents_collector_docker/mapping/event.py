"""Events of an engine: EngineEvent → Event. Names, codes and signals only: no label, no health check output."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from kgents_collector_docker.answers import EngineEvent
from kgents_collector_docker.mapping import image, network, volume
from kgents_collector_docker.mapping.scope import SOURCE, Scope
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.vocabulary import reasons

_CONTAINER: Final = {
    "create": (reasons.CREATED, "was created"),
    "start": (reasons.STARTED, "was started"),
    "die": (reasons.DIED, "ended with exit code {code}"),
    "destroy": (reasons.REMOVED, "was removed"),
    "remove": (reasons.REMOVED, "was removed"),
    "oom": (reasons.OOM, "ran out of memory: the kernel killed a process of it"),
    "kill": (reasons.KILLED, "was sent signal {signal}"),
    "pause": (reasons.PAUSED, "was paused"),
    "unpause": (reasons.UNPAUSED, "goes on after a pause"),
    "rename": (reasons.RENAMED, "was renamed{old}"),
    "update": (reasons.UPDATED, "has other limits now"),
    "restart": (reasons.RESTARTED, "was restarted"),
    "stop": (reasons.STOPPED, "was stopped"),
    "health_status": ("Health{health}", "is {health} by its health check"),
}
_OTHERS: Final = {
    ("network", "create"): (reasons.NETWORK_CREATED, "was created"),
    ("network", "destroy"): (reasons.NETWORK_REMOVED, "was removed"),
    ("network", "remove"): (reasons.NETWORK_REMOVED, "was removed"),
    ("network", "connect"): (reasons.NETWORK_CONNECTED, "was connected to {container}"),
    ("network", "disconnect"): (reasons.NETWORK_DISCONNECTED, "was disconnected from {container}"),
    ("volume", "create"): (reasons.VOLUME_CREATED, "was created"),
    ("volume", "destroy"): (reasons.VOLUME_REMOVED, "was removed"),
    ("volume", "remove"): (reasons.VOLUME_REMOVED, "was removed"),
}
"""Type and action → reason, and what happened. Of images only the state is published: a tag is an attribute.

`remove` is Podman's word for `destroy`, and that of both for networks that are not of this machine alone.
"""


def event(found: EngineEvent, scope: Scope, containers: Mapping[str, Ref]) -> Event | None:
    """The event; None for one that is not reported.

    Args:
        found: as the engine reported it.
        scope: the engine.
        containers: container id → its ref before the event: network events hold ids only, and the
            old name in a container's event may be a label of that name.
    """
    action, _, health = found.action.partition(": ")
    words = _CONTAINER.get(action) if found.type == "container" else _OTHERS.get((found.type, action))
    ref = _ref(found, scope)
    if words is None or ref is None or (action == "health_status" and not health):  # Podman 4 does not say which
        return None
    attributes = found.attributes
    old = containers.get(found.actor.id, ref)
    given = {
        "code": attributes.exit_code if attributes.exit_code.isdecimal() else "unknown",  # it, too, may be a label
        "signal": attributes.signal if attributes.signal.isdecimal() else "unknown",
        "old": f", it was {old.name} before" if old.name != ref.name else "",
        "health": health.capitalize() if health.isalpha() else "Unknown",
        "container": str(containers.get(attributes.container) or scope.container_ref(attributes.container[:12], "")),
    }
    reason = words[0].format(**given)
    did = words[1].format(**{**given, "health": given["health"].lower()})
    at = datetime.fromtimestamp(found.time_ns / 1e9, UTC)
    severity = _severity(action, health, attributes.exit_code)
    return Event(
        text=f"{ref} {did}.",
        id=f"{scope.engine}:{found.key}",
        ref=ref,
        source=SOURCE,
        type="Normal" if severity == "info" else "Warning",
        reason=reason,
        severity=severity,
        first_at=at,
        last_at=at,
        uid=found.actor.id if found.type != "volume" else "",
    )


def _ref(found: EngineEvent, scope: Scope) -> Ref | None:
    attributes = found.attributes
    match found.type:
        case "container":
            return scope.container_ref(attributes.name, attributes.project) if attributes.name else None
        case "network":
            return scope.ref(network.KIND, attributes.name or found.actor.id[:12])
        case "volume":
            return scope.ref(volume.KIND, found.about) if found.about else None
        case "image":
            return scope.ref(image.KIND, image.short(found.actor.id))
        case _:
            return None


def _severity(action: str, health: str, exit_code: str) -> str:
    if action == "oom":
        return "error"
    if health == "unhealthy" or (action == "die" and exit_code not in ("0", "130", "143")):
        return "warning"
    return "info"
