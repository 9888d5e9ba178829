"""The servers of a RedisCluster: two StatefulSets, their Services, settings, network policy and budget. Pure."""

from typing import Any, Final

from msgspec import Struct

from kgents_operator.desired import pods, redis_settings, stateful
from kgents_operator.desired.network import port
from kgents_operator.desired.outcome import Volume
from kgents_operator.desired.owner import DATABASE, REPLICAS, Owner
from kgents_operator.desired.redis_names import RedisNames
from kgents_operator.desired.stateful import VOLUME, Stateful
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


def volume(spec: Spec) -> Volume:
    """Of each server, if they have any."""
    asked = spec.persistence
    return Volume(IDENTIFIED, str(asked.storage_size), asked.storage_class_name, spec.deletion_policy)


class Made(Struct, frozen=True):
    """Makes the objects of one resource."""

    owner: Owner
    names: RedisNames
    spec: Spec
    images: Images
    restart: str
    """Another value starts the pods again."""

    def configuration(self, copies: list[int], founded: str) -> Json:
        """The ConfigMap: settings and scripts, of which none is a secret. `copies`: the replicas that have a volume."""
        found = {each: file(each) for each in (*SERVER_FILES, "redis-save", "redis-backup")}
        found["copies"] = " ".join(self._replica(each) for each in copies)
        found[stateful.FOUNDED] = founded
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
        """Who may connect to the servers, and to their exporters."""
        metrics = self.spec.metrics.port if self.spec.metrics.enabled else None
        return stateful.network(self.owner, DATABASE, self._servers, CLIENT, [PORT], metrics)

    def budget(self) -> Json:
        """At most one replica is away because somebody drains machines. One for the primary would block every drain."""
        selected = {"matchLabels": self.owner.selector(REPLICAS)}
        return self.owner.owned("policy/v1", "PodDisruptionBudget", self.names.replicas, REPLICAS) | {
            "spec": {"maxUnavailable": 1, "selector": selected}
        }

    def primary(self, current: Json | None) -> Json:
        """The one server that takes writes. `current`: as it is."""
        replicas = [self._replica(each) for each in range(REPLICAS_MAX - 1)]
        asked = [pods.text("SELF", self.names.node(f"{self.names.name}-0")), pods.text("REPLICAS", " ".join(replicas))]
        return self._statefulset(DATABASE, self.names.name, 1, current, asked if self.spec.persistence.enabled else [])

    def replicas(self, current: Json | None) -> Json:
        """The servers that follow it."""
        count = self.spec.replicas - 1
        return self._statefulset(REPLICAS, self.names.replicas, count, current, [pods.text("PRIMARY", self.names.host)])

    def _replica(self, ordinal: int) -> str:
        return self.names.node(f"{self.names.replicas}-{ordinal}")

    @property
    def _servers(self) -> dict[str, str]:
        return {self.owner.label: self.owner.name, "app.kubernetes.io/name": "redis"}

    def _statefulset(self, component: str, name: str, count: int, current: Json | None, env: list[Json]) -> Json:
        server = Stateful(
            component=component,
            name=name,
            service=self.names.nodes,
            replicas=count,
            mark="redis",
            read={"redis.conf": redis_settings.redis(self.spec), **{each: file(each) for each in SERVER_FILES}},
            restart=self.restart,
            pod=self._pod(env),
            volume=volume(self.spec) if self.spec.persistence.enabled else None,
        )
        return stateful.statefulset(self.owner, server, current)

    def _pod(self, env: list[Json]) -> Json:
        passwords = [
            {"secret": {"name": self.names.secret(each), "items": [{"key": "password", "path": user}]}}
            for each, user in LOGINS.items()
        ]
        volumes = [
            pods.config("config", self.names.config),
            pods.secret("tls", self.spec.tls.secret_name or self.names.secret("tls"), "tls.crt", "tls.key", "ca.crt"),
            {"name": "secrets", "projected": {"defaultMode": 0o440, "sources": passwords}},
            {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            *([] if self.spec.persistence.enabled else [{"name": VOLUME, "emptyDir": {}}]),
        ]
        containers = [self._server(env)] + ([self._exporter()] if self.spec.metrics.enabled else [])
        affinity = stateful.apart(self._servers)
        return pods.pod(pods.REDIS_UID, containers, volumes, affinity=affinity, terminationGracePeriodSeconds=60)

    def _server(self, env: list[Json]) -> Json:
        is_ready = {"exec": {"command": ["sh", "/config/redis-ready"]}, "periodSeconds": 5, "timeoutSeconds": 5}
        return pods.container(
            "redis",
            self.spec.image or self.images.redis,
            command=["sh", "/config/redis-start"],
            env=[
                pods.text("CONFIG", "/config"),
                pods.text("SECRETS", "/secrets"),
                pods.text("TLS", "/tls"),
                pods.text("RUN", "/run/redis"),
                pods.text("DATA", DATA),
                pods.text("PORT", str(PORT)),
                pods.text("CHANNELS", "&*" if self.spec.pubsub.enabled else "resetchannels"),
                *env,
            ],
            ports=[{"name": "redis", "containerPort": PORT, "protocol": "TCP"}],
            resources=stateful.bounded(self.spec.resources),
            # A primary that reads a large file may take long, and a replica waits for the primary to copy from.
            # Nothing but its own end restarts a server: what kills one that is slow makes it read all again.
            readinessProbe=is_ready,
            volumeMounts=[
                pods.mount(VOLUME, DATA, writable=True),
                pods.mount("run", "/run/redis", writable=True),
                pods.mount("config", "/config"),
                pods.mount("secrets", "/secrets"),
                pods.mount("tls", "/tls"),
            ],
        )

    def _exporter(self) -> Json:
        port = self.spec.metrics.port
        args = [
            f"--web.listen-address=:{port}",
            f"--redis.addr=rediss://127.0.0.1:{PORT}",
            "--redis.user=kgents",
            # The certificate names Services, not this address; between two containers of a pod there is no one.
            "--skip-tls-verification=true",
            "--config-command=-",
        ]
        env = [pods.from_secret("REDIS_PASSWORD", self.names.secret("monitor"), "password")]
        return stateful.exporter(self.images.redis_exporter, port, args, env)
