"""References of a pod or pod template: its spec → connections to ConfigMaps, Secrets and claims, each with evidence.

Every place where a spec can refer to one is read: the environment of all containers (init and ephemeral too), volumes,
projected volumes, volume drivers that log in, image pull secrets. Only names are read.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from kgents_collector_k8s.mapping.fragment import Scope
from kgents_collector_k8s.objects.metadata import Named
from kgents_collector_k8s.objects.pod import Container, PodSpec, Volume
from kgents_shared.contract.entity import Connection, Ref
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.contract.vocabulary.attributes import otel

_EVERYWHERE: Final = "kube-root-ca.crt"
"""Mounted into every pod of every cluster: edges to it carry no information."""


class Mention(Struct, frozen=True, gc=False):
    """One place that refers to a ConfigMap or Secret."""

    kind: str
    name: str
    how: str
    """`env`, `envFrom`, `volume`, `projected`, `imagePullSecret`; `tls` in an Ingress or Gateway."""
    path: str
    is_optional: bool = False
    namespace: str = ""
    """Empty: that of the object."""


def configured(mentions: Iterator[Mention], namespace: str, scope: Scope) -> list[Connection]:
    """One `configures` connection for each object referred to, however often, sorted by name."""
    by_ref: dict[Ref, list[Mention]] = {}
    for each in mentions:
        if each.name and each.name != _EVERYWHERE:
            ref = Ref(scope.cluster, each.kind, each.name, each.namespace or namespace)
            by_ref.setdefault(ref, []).append(each)
    return [
        Connection(
            kind=edges.CONFIGURES,
            peer=ref,
            direction="in",
            attributes={
                attribute.REFERENCE: sorted({each.how for each in by_ref[ref]}),
                attribute.REFERENCE_OPTIONAL: all(each.is_optional for each in by_ref[ref]),
            },
            evidence=", ".join(sorted({each.path for each in by_ref[ref]})),
        )
        for ref in sorted(by_ref)
    ]


def named(connections: list[Connection]) -> list[Ref]:
    """The ConfigMaps and Secrets among the peers: they are shown for as long as any object refers to them."""
    return [each.peer for each in connections if each.kind == edges.CONFIGURES and isinstance(each.peer, Ref)]


def mentions(spec: PodSpec, at: str) -> Iterator[Mention]:
    """All that a spec refers to; `at` is the spec's own path (`spec.template.spec`)."""
    groups = (
        ("containers", spec.containers),
        ("initContainers", spec.init_containers),
        ("ephemeralContainers", spec.ephemeral_containers),
    )
    for field, containers in groups:
        for container in containers or ():
            yield from _environment(container, f"{at}.{field}[]")
    for volume in spec.volumes or ():
        yield from _volume(volume, f"{at}.volumes[]")
    for secret in spec.image_pull_secrets or ():
        yield Mention("secret", secret.name, "imagePullSecret", f"{at}.imagePullSecrets[]")


def claims(spec: PodSpec, at: str, namespace: str, scope: Scope, *, pod: str = "") -> list[Connection]:
    """One `volume` connection for each claim; ephemeral claims only when the pod's name is given."""
    volumes: dict[str, tuple[str, str]] = {}
    for each in spec.volumes or ():
        if each.persistent_volume_claim is not None:
            volumes.setdefault(each.persistent_volume_claim.claim_name, (each.name, "persistentVolumeClaim"))
        elif each.ephemeral is not None and pod:
            volumes.setdefault(f"{pod}-{each.name}", (each.name, "ephemeral"))
    return [
        Connection(
            kind=edges.VOLUME,
            peer=Ref(scope.cluster, kinds.VOLUME, claim, namespace),
            attributes={otel.K8S_VOLUME_NAME: name},
            evidence=f"{at}.volumes[].{how}",
        )
        for claim, (name, how) in sorted(volumes.items())
    ]


def _environment(container: Container, at: str) -> Iterator[Mention]:
    for variable in container.env or ():
        if variable.value_from is not None:
            yield from _pair(
                variable.value_from.config_map_key_ref, variable.value_from.secret_key_ref, "env", f"{at}.env"
            )
    for each in container.env_from or ():
        yield from _pair(each.config_map_ref, each.secret_ref, "envFrom", f"{at}.envFrom")


def _volume(volume: Volume, at: str) -> Iterator[Mention]:
    if volume.config_map is not None:
        yield from _pair(volume.config_map, None, "volume", f"{at}.configMap")
    elif volume.secret is not None:
        yield Mention("secret", volume.secret.secret_name, "volume", f"{at}.secret", bool(volume.secret.optional))
    elif volume.projected is not None:
        for source in volume.projected.sources or ():
            yield from _pair(source.config_map, source.secret, "projected", f"{at}.projected")
    else:
        yield from _login(volume, at)


def _login(volume: Volume, at: str) -> Iterator[Mention]:
    """The secret with which a volume's driver logs in."""
    if volume.azure_file is not None:
        yield Mention("secret", volume.azure_file.secret_name, "volume", f"{at}.azureFile")
    drivers = {
        "csi": volume.csi,
        "flexVolume": volume.flex_volume,
        "cephfs": volume.cephfs,
        "rbd": volume.rbd,
        "iscsi": volume.iscsi,
        "scaleIO": volume.scale_io,
        "storageos": volume.storageos,
    }
    for field, driver in drivers.items():
        if driver is not None:
            for secret in (driver.secret_ref, driver.node_publish_secret_ref):
                yield from _pair(None, secret, "volume", f"{at}.{field}")


def _pair(config_map: Named | None, secret: Named | None, how: str, at: str) -> Iterator[Mention]:
    for kind, found in (("configmap", config_map), ("secret", secret)):
        if found is not None:
            yield Mention(kind, found.name, how, at, bool(found.optional))
