"""The servers of a RedisCluster: two StatefulSets, their Services, settings, network policy and budget. Pure."""

from typing import Any, Final

from msgspec import Struct

from kgents_operator.desired import redis_settings
from kgents_operator.desired.network import allowed, everywhere, policy, port
from kgents_operator.desired.outcome import template_size
from kgents_operator.desired.owner import DATABASE, IDENTITY, MARK, REPLICAS, RESTART, Owner, digest
from kgents_operator.desired.pods import (
    EXPORTER_UID,
    REDIS_UID,
    config,
    container,
    from_secret,
    mount,
    pod,
    secret,
    text,
)
from kgents_operator.desired.redis_names import RedisNames
from kgents_operator.files import text as file
from kgents_operator.images import Images
from kgents_operator.resources.redis import PORT, REPLICAS_MAX, Spec

Json = dict[str, Any]

CLIENT: Final = "uses-redis"
"""The label of pods that may connect to the servers of their namespace, as in deploy/databases."""
IDENTIFIED: Final = "redis"
"""What is on a volume."""
LOGINS: Final = {"credentials": "app", "monitor": "kgents", "replica": "replica", "backup": "backup"}
"""The Secret of each user."""
SERVER_FILES: Final = ("tls.conf", "start", "redis-start", "redis-ready")
"""Beside its settings, what a server starts with: only a change of these starts it again."""
DATA: Final = "/data"


class Made(Struct, frozen=True):
    """Makes the objects of one resource."""

    owner: Owner
    names: RedisNames
    spec: Spec
    images: Images
    restart: str
    """Another value starts the pods again."""

    def configuration(self) -> Json:
        """The ConfigMap: settings and scripts, of which none is a secret."""
        found = {each: file(each) for each in (*SERVER_FILES, "redis-save", "redis-backup")}
        found["redis.conf"] = redis_settings.redis(self.spec)
        return self.owner.owned("v1", "ConfigMap", self.names.config, DATABASE) | {"data": found}

    def service(self) -> Json:
        """Of the primary."""
        spec = {"selector": self.owner.selector(DATABASE), "ports": [port("redis", PORT)]}
        return self.owner.owned("v1", "Service", self.names.name, DATABASE) | {"spec": spec}

    def reading(self) -> Json:
        """Of the replicas that follow the primary, which are read only."""
        spec = {"selector": self.owner.selector(REPLICAS), "ports": [port("redis", PORT)]}
        return self.owner.owned("v1", "Service", self.names.replicas, REPLICAS) | {"spec": spec}

    def nodes(self) -> Json:
        """A name for each pod, also for one that is not ready: by it a primary asks its replicas before it starts."""
        spec = {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": self._servers,
            "ports": [port("redis", PORT)],
        }
        return self.owner.owned("v1", "Service", self.names.nodes, DATABASE) | {"spec": spec}

    def network(self) -> Json:
        """Who may connect: clients and our own pods of this namespace, collector-db, and Prometheus."""
        inside = [
            {"podSelector": {"matchLabels": {CLIENT: "true"}}},
            {"podSelector": {"matchLabels": {self.owner.label: self.owner.name}}},
            everywhere("collector-db"),
        ]
        rules: list[Json] = [{"from": inside, "ports": [allowed(PORT)]}]
        if self.spec.metrics.enabled:
            rules.append({"from": [everywhere("prometheus")], "ports": [allowed(self.spec.metrics.port)]})
        return policy(self.owner, DATABASE, self._servers, rules)

    def budget(self) -> Json:
        """At most one replica is away because somebody drains machines. One for the primary would block every drain."""
        selected = {"matchLabels": self.owner.selector(REPLICAS)}
        return self.owner.owned("policy/v1", "PodDisruptionBudget", self.names.replicas, REPLICAS) | {
            "spec": {"maxUnavailable": 1, "selector": selected}
        }

    def primary(self, current: Json | None) -> Json:
        """The one server that takes writes. `current`: as it is."""
        replicas = [self.names.node(f"{self.names.replicas}-{each}") for each in range(REPLICAS_MAX - 1)]
        asked = [text("SELF", self.names.node(f"{self.names.name}-0")), text("REPLICAS", " ".join(replicas))]
        return self._statefulset(DATABASE, self.names.name, 1, current, asked if self.spec.persistence.enabled else [])

    def replicas(self, current: Json | None) -> Json:
        """The servers that follow it."""
        count = self.spec.replicas - 1
        return self._statefulset(REPLICAS, self.names.replicas, count, current, [text("PRIMARY", self.names.host)])

    @property
    def _servers(self) -> dict[str, str]:
        return {self.owner.label: self.owner.name, "app.kubernetes.io/name": "redis"}

    def _statefulset(self, component: str, name: str, count: int, current: Json | None, env: list[Json]) -> Json:
        read = {"redis.conf": redis_settings.redis(self.spec), **{each: file(each) for each in SERVER_FILES}}
        annotations = {"kgents.io/config": digest(read)} | ({RESTART: self.restart} if self.restart else {})
        spec: Json = {
            "serviceName": self.names.nodes,
            "replicas": count,
            "selector": {"matchLabels": self.owner.selector(component)},
            "template": {
                "metadata": {"labels": self.owner.labels(component) | {MARK: "redis"}, "annotations": annotations},
                "spec": self._pod(env),
            },
        }
        if self.spec.persistence.enabled:
            when_deleted = self.spec.deletion_policy
            spec["persistentVolumeClaimRetentionPolicy"] = {"whenDeleted": when_deleted, "whenScaled": "Retain"}
            spec["volumeClaimTemplates"] = [self._claim(component, current)]
        return self.owner.owned("apps/v1", "StatefulSet", name, component) | {"spec": spec}

    def _claim(self, component: str, current: Json | None) -> Json:
        """As it was made: no StatefulSet can change it; claims grow by themselves."""
        asked = self.spec.persistence
        size = template_size(current) or str(asked.storage_size)
        storage: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        if asked.storage_class_name is not None:
            storage["storageClassName"] = asked.storage_class_name
        metadata = {"name": "data", "annotations": {IDENTITY: IDENTIFIED}, "labels": self.owner.labels(component)}
        return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": storage}

    def _pod(self, env: list[Json]) -> Json:
        passwords = [
            {"secret": {"name": self.names.secret(each), "items": [{"key": "password", "path": user}]}}
            for each, user in LOGINS.items()
        ]
        volumes = [
            config("config", self.names.config),
            secret("tls", self.spec.tls.secret_name or self.names.secret("tls"), "tls.crt", "tls.key", "ca.crt"),
            {"name": "secrets", "projected": {"defaultMode": 0o440, "sources": passwords}},
            {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            *([] if self.spec.persistence.enabled else [{"name": "data", "emptyDir": {}}]),
        ]
        containers = [self._server(env)] + ([self._exporter()] if self.spec.metrics.enabled else [])
        apart = {
            "weight": 100,
            "podAffinityTerm": {
                "labelSelector": {"matchLabels": self._servers},
                "topologyKey": "kubernetes.io/hostname",
            },
        }
        spread = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}}
        return pod(REDIS_UID, containers, volumes, affinity=spread, terminationGracePeriodSeconds=60)

    def _server(self, env: list[Json]) -> Json:
        is_ready = {"exec": {"command": ["sh", "/config/redis-ready"]}, "periodSeconds": 5, "timeoutSeconds": 5}
        limits, requests = self.spec.resources.limits, self.spec.resources.requests
        return container(
            "redis",
            self.spec.image or self.images.redis,
            command=["sh", "/config/redis-start"],
            env=[
                text("CONFIG", "/config"),
                text("SECRETS", "/secrets"),
                text("TLS", "/tls"),
                text("RUN", "/run/redis"),
                text("DATA", DATA),
                text("PORT", str(PORT)),
                text("CHANNELS", "&*" if self.spec.pubsub.enabled else "resetchannels"),
                *env,
            ],
            ports=[{"name": "redis", "containerPort": PORT, "protocol": "TCP"}],
            resources={
                "requests": {"cpu": str(requests.cpu), "memory": str(requests.memory)},
                "limits": {"cpu": str(limits.cpu), "memory": str(limits.memory)},
            },
            # A primary that reads a large file may take long, and a replica waits for the primary to copy from.
            # Nothing but its own end restarts a server: what kills one that is slow makes it read all again.
            readinessProbe=is_ready,
            volumeMounts=[
                mount("data", DATA, writable=True),
                mount("run", "/run/redis", writable=True),
                mount("config", "/config"),
                mount("secrets", "/secrets"),
                mount("tls", "/tls"),
            ],
        )

    def _exporter(self) -> Json:
        metrics = self.spec.metrics
        found = container(
            "exporter",
            self.images.redis_exporter,
            args=[
                f"--web.listen-address=:{metrics.port}",
                f"--redis.addr=rediss://127.0.0.1:{PORT}",
                "--redis.user=kgents",
                # The certificate names Services, not this address; between two containers of a pod there is no one.
                "--skip-tls-verification=true",
                "--config-command=-",
            ],
            env=[from_secret("REDIS_PASSWORD", self.names.secret("monitor"), "password")],
            ports=[{"name": "metrics", "containerPort": metrics.port, "protocol": "TCP"}],
            resources={"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        )
        found["securityContext"] |= {"runAsUser": EXPORTER_UID}
        return found
