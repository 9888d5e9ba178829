"""Pods and pod templates: spec and status. Environment values, arguments and termination messages are not read."""

from datetime import datetime

from msgspec import field

from kgents_collector_k8s.objects.metadata import Condition, Lean, Metadata, Named


class KeySource(Lean, frozen=True):
    """`env[].valueFrom`: of a reference to one key, only the object's name is read."""

    config_map_key_ref: Named | None = None
    secret_key_ref: Named | None = None


class EnvVar(Lean, frozen=True):
    """One environment variable: neither its name nor its value."""

    value_from: KeySource | None = None


class EnvFrom(Lean, frozen=True):
    """All keys of an object as environment."""

    config_map_ref: Named | None = None
    secret_ref: Named | None = None


class ContainerPort(Lean, frozen=True, gc=False):
    """A port that a container declares."""

    container_port: int = 0
    host_port: int = 0
    host_ip: str = field(default="", name="hostIP")
    """The node's address that is bound; empty: all of them."""
    protocol: str = "TCP"


class Resources(Lean, frozen=True):
    """Requests and limits as quantities (`250m`, `1Gi`), by resource name."""

    requests: dict[str, str] | None = None
    limits: dict[str, str] | None = None


class Container(Lean, frozen=True):
    """The desired container."""

    name: str
    image: str = ""
    restart_policy: str = ""
    """`Always` makes an init container a sidecar."""
    ports: list[ContainerPort] | None = None
    env: list[EnvVar] | None = None
    env_from: list[EnvFrom] | None = None
    resources: Resources | None = None


class SecretVolume(Lean, frozen=True, gc=False):
    """`volumes[].secret` and `volumes[].azureFile`."""

    secret_name: str = ""
    optional: bool | None = None


class Projection(Lean, frozen=True):
    """One source of a projected volume. Service account tokens are not read."""

    config_map: Named | None = None
    secret: Named | None = None


class Projected(Lean, frozen=True):
    """`volumes[].projected`."""

    sources: list[Projection] | None = None


class Claim(Lean, frozen=True, gc=False):
    """`volumes[].persistentVolumeClaim`."""

    claim_name: str


class Driver(Lean, frozen=True):
    """A volume whose driver logs in with a secret: csi, flexVolume and the older built-in drivers."""

    secret_ref: Named | None = None
    node_publish_secret_ref: Named | None = None


class Ephemeral(Lean, frozen=True, gc=False):
    """`volumes[].ephemeral`: a claim made for the pod, named `<pod>-<volume>`."""


class Volume(Lean, frozen=True):
    """One volume of a pod."""

    name: str
    config_map: Named | None = None
    secret: SecretVolume | None = None
    projected: Projected | None = None
    persistent_volume_claim: Claim | None = None
    ephemeral: Ephemeral | None = None
    azure_file: SecretVolume | None = None
    csi: Driver | None = None
    flex_volume: Driver | None = None
    cephfs: Driver | None = None
    rbd: Driver | None = None
    iscsi: Driver | None = None
    scale_io: Driver | None = field(default=None, name="scaleIO")
    storageos: Driver | None = None


class PodSpec(Lean, frozen=True):
    """The desired pod."""

    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    ephemeral_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    image_pull_secrets: list[Named] | None = None
    node_name: str = ""
    host_network: bool = False
    hostname: str = ""
    subdomain: str = ""
    restart_policy: str = "Always"
    service_account_name: str = ""
    priority_class_name: str = ""
    resources: Resources | None = None


class Waiting(Lean, frozen=True, gc=False):
    """A container that does not run yet."""

    reason: str = ""


class Running(Lean, frozen=True, gc=False):
    """A container that runs."""


class Terminated(Lean, frozen=True, gc=False):
    """A container that has ended."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    finished_at: datetime | None = None


class ContainerState(Lean, frozen=True, gc=False):
    """At most one of the three is given; none means waiting."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Lean, frozen=True, gc=False):
    """A container as the kubelet reports it."""

    name: str
    state: ContainerState | None = None
    last_state: ContainerState | None = None
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    image_id: str = field(default="", name="imageID")
    container_id: str = field(default="", name="containerID")


class PodIP(Lean, frozen=True, gc=False):
    """One address of a pod, IPv4 or IPv6."""

    ip: str = ""


class PodStatus(Lean, frozen=True):
    """A pod as the kubelet reports it."""

    phase: str = ""
    reason: str = ""
    conditions: list[Condition] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    container_statuses: list[ContainerStatus] | None = None
    ephemeral_container_statuses: list[ContainerStatus] | None = None
    host_ip: str = field(default="", name="hostIP")
    pod_ip: str = field(default="", name="podIP")
    pod_ips: list[PodIP] | None = field(default=None, name="podIPs")
    start_time: datetime | None = None
    qos_class: str = ""


class Pod(Lean, frozen=True):
    """`v1` Pod."""

    metadata: Metadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class PodTemplate(Lean, frozen=True):
    """`spec.template` of a workload."""

    metadata: Metadata = Metadata()
    """The labels of the pods; the rest of it they have themselves."""
    spec: PodSpec = PodSpec()
