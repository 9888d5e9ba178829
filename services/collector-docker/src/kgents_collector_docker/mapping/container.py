"""Containers: inspections → container entities and their connections."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from kgents_collector_docker.answers import NO_SIGN, Container, End, HostConfig, Inventory, Mount
from kgents_collector_docker.mapping import image, network, volume
from kgents_collector_docker.mapping.address import Names, addresses, aliases, endpoints, ports
from kgents_collector_docker.mapping.scope import PROJECT_LABEL, SOURCE, Scope
from kgents_collector_docker.mapping.status import happened, is_looping, status_of, written
from kgents_shared.contract.entity import Connection, Entity, Ref, Value
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import docker as attribute
from kgents_shared.contract.vocabulary.attributes import otel

KIND: Final = kinds.CONTAINER
SERVICE_LABEL: Final = "com.docker.compose.service"
DEPENDS_LABEL: Final = "com.docker.compose.depends_on"
CONDITIONS: Final = ("service_started", "service_healthy", "service_completed_successfully")
ONE_OFF_LABEL: Final = "com.docker.compose.oneoff"
POD_LABEL: Final = "io.kubernetes.pod.name"
POD_NAMESPACE_LABEL: Final = "io.kubernetes.pod.namespace"


def entities(inventory: Inventory, scope: Scope, published: Mapping[str, Entity]) -> list[Entity]:
    """One entity for each container, running or not; `published`: id → what is published of it."""
    index = _Index(inventory, scope, published)
    return [_entity(container, index) for container in inventory.containers.values()]


def ref_of(container: Container, scope: Scope) -> Ref:
    """The ref of a container."""
    return scope.container_ref(container.own_name, container.labels.get(PROJECT_LABEL, ""))


def cpu_limit(limits: HostConfig) -> float | None:
    """Cores it may use; None for all of the host's."""
    given = [float(_count(limits.cpuset_cpus))]
    if limits.nano_cpus > 0:
        given.append(limits.nano_cpus / 1e9)
    elif limits.cpu_quota > 0:
        given.append(limits.cpu_quota / (limits.cpu_period or 100_000))
    return min(filter(None, given), default=None)


def _count(cpus: str) -> int:
    """The number of cores in a list: 5 for `0-3,7`."""
    ends = (part.partition("-")[::2] for part in cpus.split(","))
    return sum(int(last or first) - int(first) + 1 for first, last in ends if (first + last).isdecimal())


class _Index:
    """Lookups that a container's mapping needs: other containers, images, networks, volumes."""

    def __init__(self, inventory: Inventory, scope: Scope, published: Mapping[str, Entity]) -> None:
        self.scope = scope
        self.published = published
        self.ends = inventory.ends
        self.runtime = inventory.info.runtime
        self.drivers = {each.id: each.driver for each in inventory.networks.values()}
        self.networks = network.names_of(inventory.networks)
        self.refs = {each.id: ref_of(each, scope) for each in inventory.containers.values()}
        self.services: defaultdict[tuple[str, str], list[Ref]] = defaultdict(list)
        said: Counter[str] = Counter()
        for each in inventory.containers.values():
            said.update(set(aliases(each)))
            if each.labels.get(ONE_OFF_LABEL) != "True":
                key = (each.labels.get(PROJECT_LABEL, ""), each.labels.get(SERVICE_LABEL, ""))
                self.services[key].append(self.refs[each.id])
        self.names: Names = frozenset(name for name, count in said.items() if count == 1)


def _entity(container: Container, index: _Index) -> Entity:
    scope = index.scope
    end, published = index.ends.get(container.id, NO_SIGN), index.published.get(container.id)
    status, reason = status_of(container, scope.at, end, published)
    return Entity(
        ref=index.refs[container.id],
        source=SOURCE,
        uid=container.id,
        status=status,
        reason=reason,
        labels=scope.labels(container.labels),
        attributes=_attributes(container, index)
        | _ending(container, end, published, is_out_of_memory=reason == "OOMKilled"),
        addresses=addresses(container, index.drivers, scope),
        aliases=[
            f"container-id:{container.id}",
            *(sorted(index.names.intersection(aliases(container))) if scope.is_local else ()),
        ],
        connections=[
            scope.runs_on("containers"),
            *scope.owned(container.labels),
            *_pod(container, scope),
            *_image(container, scope),
            *_networks(container, index),
            *_mounts(container, scope),
            *_dependencies(container, index),
        ],
        created_at=container.created,
    )


def _attributes(container: Container, index: _Index) -> dict[str, Value]:
    state, limits, scope = container.state, container.host_config, index.scope
    name, tag = image.split(container.config.image)
    is_id = container.config.image.startswith("sha256:")
    policy = limits.restart_policy.name if limits.restart_policy is not None else ""
    given: dict[str, Value] = {
        otel.CONTAINER_ID: container.id,
        otel.CONTAINER_NAME: container.own_name,
        otel.CONTAINER_RUNTIME_NAME: index.runtime,
        otel.CONTAINER_IMAGE_ID: container.image or None,
        otel.CONTAINER_IMAGE_NAME: None if is_id else name or None,
        otel.CONTAINER_IMAGE_TAGS: [tag] if tag and not is_id else None,
        attribute.STATE: None if is_looping(container, scope.at) else state.status or None,
        attribute.HEALTH: _health(container, scope),
        attribute.STARTED_AT: written(happened(state.started_at)),
        attribute.FINISHED_AT: written(happened(state.finished_at)),
        attribute.RESTART_COUNT: container.restart_count,
        attribute.PORTS: ports(container) or None,
        attribute.RESTART_POLICY: policy if policy not in ("", "no") else None,
        attribute.CPU_LIMIT_CORES: cpu_limit(limits),
        attribute.MEMORY_LIMIT_BYTES: limits.memory if limits.memory > 0 else None,
        attribute.COMPOSE_PROJECT: container.labels.get(PROJECT_LABEL) or None,
        attribute.COMPOSE_SERVICE: container.labels.get(SERVICE_LABEL) or None,
        otel.K8S_POD_NAME: container.labels.get(POD_LABEL) or None,
        otel.K8S_POD_UID: container.labels.get("io.kubernetes.pod.uid") or None,
        otel.K8S_NAMESPACE_NAME: container.labels.get(POD_NAMESPACE_LABEL) or None,
        otel.K8S_CONTAINER_NAME: container.labels.get("io.kubernetes.container.name") or None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _ending(container: Container, end: End, published: Entity | None, *, is_out_of_memory: bool) -> dict[str, Value]:
    """How it ended; the time of an OOM kill, which only an event says, stays as published."""
    state = container.state
    has_ended = state.status in ("exited", "stopped", "dead", "restarting")
    oom_at = datetime.fromtimestamp(end.oom_ns / 1e9, UTC) if end.oom_ns else None
    before = published.attributes.get(attribute.OOM_KILLED_AT) if published is not None else None
    given: dict[str, Value] = {
        attribute.EXIT_CODE: state.exit_code if has_ended else None,
        attribute.OOM_KILLED: True if has_ended and (state.oom_killed or is_out_of_memory) else None,
        attribute.OOM_KILLED_AT: written(oom_at) or before,
    }
    return {key: value for key, value in given.items() if value is not None}


def _health(container: Container, scope: Scope) -> str | None:
    health = container.state.health
    if health is None or health.status in ("", "none") or container.state.status != "running":
        return None
    return None if is_looping(container, scope.at) else health.status


def _pod(container: Container, scope: Scope) -> Iterator[Connection]:
    """The pod of this container, by the kubelet's labels."""
    if pod := container.labels.get(POD_LABEL):
        peer = Ref(scope.cluster, kinds.POD, pod, container.labels.get(POD_NAMESPACE_LABEL, ""))
        yield Connection(kind=edges.OWNS, peer=peer, direction="in", evidence=POD_LABEL)


def _image(container: Container, scope: Scope) -> Iterator[Connection]:
    """By its id: a tag may be another image's by now. The reference is what the container was created with."""
    if container.image:
        reference: dict[str, Value] = {attribute.IMAGE_REFERENCE: container.config.image}
        yield Connection(
            kind=edges.DEPENDS,
            peer=scope.ref(image.KIND, image.short(container.image)),
            attributes=reference if container.config.image else {},
            evidence="Image",
        )


def _networks(container: Container, index: _Index) -> Iterator[Connection]:
    is_settled = not is_looping(container, index.scope.at)
    for own, endpoint in endpoints(container):
        found = [each for each in (endpoint.ip_address, endpoint.global_ipv6_address) if each and is_settled]
        known = sorted(set(endpoint.aliases or ()) - {container.id[:12]})
        given: dict[str, Value] = {
            otel.NETWORK_LOCAL_ADDRESS: found[0] if found else None,
            attribute.NETWORK_ADDRESSES: found if len(found) > 1 else None,
            attribute.NETWORK_ALIASES: known or None,
        }
        yield Connection(
            kind=edges.NETWORK,
            peer=index.scope.ref(network.KIND, index.networks.get(endpoint.network_id, own)),
            attributes={key: value for key, value in given.items() if value is not None},
            evidence="NetworkSettings.Networks",
        )
    mode, _, other = container.host_config.network_mode.partition(":")
    if mode == "container" and other in index.refs:
        yield Connection(kind=edges.NETWORK, peer=index.refs[other], evidence="HostConfig.NetworkMode")


def _mounts(container: Container, scope: Scope) -> Iterator[Connection]:
    """One connection for each volume, and one to the host for all of its directories that are mounted."""
    volumes: defaultdict[str, list[str]] = defaultdict(list)
    binds: list[str] = []
    for mount in container.mounts or ():
        if mount.type == "volume" and mount.name:
            volumes[mount.name].append(_target(mount))
        elif mount.type == "bind":
            binds.append(f"{mount.source}:{_target(mount)}")
    for name in sorted(volumes):
        mounted: dict[str, Value] = {attribute.MOUNTS: sorted(volumes[name])}
        yield Connection(kind=edges.VOLUME, peer=scope.ref(volume.KIND, name), attributes=mounted, evidence="Mounts")
    if binds:
        bound: dict[str, Value] = {attribute.BINDS: sorted(binds)}
        yield Connection(kind=edges.VOLUME, peer=scope.host_ref, attributes=bound, evidence="Mounts")


def _target(mount: Mount) -> str:
    return mount.destination if mount.rw else f"{mount.destination}:ro"


def _dependencies(container: Container, index: _Index) -> Iterator[Connection]:
    """Compose's `depends_on`, as its label has it: `db:service_healthy:false,cache:service_started:true`."""
    project = container.labels.get(PROJECT_LABEL, "")
    own = index.refs[container.id]
    conditions: dict[Ref, str] = {}
    for entry in container.labels.get(DEPENDS_LABEL, "").split(","):
        service, _, rest = entry.strip().partition(":")
        for peer in index.services.get((project, service), ()) if service else ():
            conditions[peer] = rest.partition(":")[0]
    for peer in sorted(conditions.keys() - {own}):
        condition = conditions[peer]
        given: dict[str, Value] = {attribute.COMPOSE_CONDITION: condition} if condition in CONDITIONS else {}
        yield Connection(kind=edges.DEPENDS, peer=peer, attributes=given, evidence=DEPENDS_LABEL)
