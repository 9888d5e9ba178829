"""The peers of a QdrantCluster: StatefulSet, Services, settings, network policy, budget, and its collections. Pure."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from kgents_operator.desired import pods, stateful
from kgents_operator.desired.network import allowed, port
from kgents_operator.desired.outcome import Volume
from kgents_operator.desired.owner import DATABASE, RESTART, Owner
from kgents_operator.desired.qdrant_names import QdrantNames
from kgents_operator.desired.stateful import VOLUME, Stateful
from kgents_operator.files import text as file
from kgents_operator.images import Images
from kgents_operator.resources.qdrant import GRPC_PORT, PORT, RAFT_PORT, Collection, Spec

Json = dict[str, Any]

CLIENT: Final = "uses-qdrant"
"""The label of pods that may connect to the peers of their namespace, as in deploy/databases."""
IDENTIFIED: Final = "qdrant"
"""What is on a volume."""
COLLECTIONS: Final = "collections"
"""The component that makes them."""
PEERS: Final = "kgents.io/peers"
"""The annotation of the StatefulSet with how many peers there were to be: what somebody scales by hand is not asked."""
SERVER_FILES: Final = ("production.yaml", "qdrant-start")
"""What a peer starts with: only a change of these starts it again."""
DATA: Final = "/data"
INIT: Final = "/qdrant/init"
"""Where a server notes that it has started, as in Qdrant's own chart: its image cannot be written."""
COPIES: Final = 2
"""Of each shard of a collection that we make, where there are as many peers."""


def volume(spec: Spec) -> Volume:
    """Of each peer."""
    asked = spec.storage
    return Volume(IDENTIFIED, str(asked.size), asked.storage_class_name, spec.deletion_policy)


class Made(Struct, frozen=True):
    """Makes the objects of one resource."""

    owner: Owner
    names: QdrantNames
    spec: Spec
    images: Images
    restart: str
    """Another value starts the pods again."""

    def configuration(self, others: list[str], founded: str) -> Json:
        """The ConfigMap: settings and scripts, of which none is a secret. `others`: volumes of peers but the first."""
        found = {each: file(each) for each in (*SERVER_FILES, "qdrant-collections", "qdrant-snapshot", "qdrant-backup")}
        found |= {
            stateful.FOUNDED: founded,
            "peers": " ".join(others),
            "collections": "".join(map(self._line, self.spec.collections)),
        }
        return self.owner.owned("v1", "ConfigMap", self.names.config, DATABASE) | {"data": found}

    def _line(self, collection: Collection) -> str:
        body = {
            "vectors": {"size": collection.dimensions, "distance": collection.distance},
            "replication_factor": min(COPIES, self.spec.replicas),
        }
        return f"{collection.name} {msgspec.json.encode(body).decode()}\n"

    def service(self) -> Json:
        """Of the peers that are ready."""
        spec = {"selector": self._selector, "ports": [port("http", PORT), port("grpc", GRPC_PORT)]}
        return self.owner.owned("v1", "Service", self.names.name, DATABASE) | {"spec": spec}

    def nodes(self) -> Json:
        """A name for each peer, also for one that is not ready: by it the others reach it to agree that it is."""
        spec = {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": self._selector,
            "ports": [port("http", PORT), port("raft", RAFT_PORT)],
        }
        return self.owner.owned("v1", "Service", self.names.nodes, DATABASE) | {"spec": spec}

    def network(self) -> Json:
        """Who may connect to the peers; on the port of raft only they themselves."""
        metrics = PORT if self.spec.metrics.enabled else None
        found = stateful.network(self.owner, DATABASE, self._selector, CLIENT, [PORT, GRPC_PORT], metrics)
        found["spec"]["ingress"].append(
            {"from": [{"podSelector": {"matchLabels": self._selector}}], "ports": [allowed(RAFT_PORT)]}
        )
        return found

    def budget(self) -> Json:
        """At most one peer is away because somebody drains machines."""
        return self.owner.owned("policy/v1", "PodDisruptionBudget", self.names.name, DATABASE) | {
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": self._selector}}
        }

    def peers(self, count: int, current: Json | None) -> Json:
        """All of them. `current`: as they are."""
        server = Stateful(
            component=DATABASE,
            name=self.names.name,
            service=self.names.nodes,
            replicas=count,
            mark="qdrant",
            read={each: file(each) for each in SERVER_FILES},
            restart=self.restart,
            pod=self._pod(),
            volume=volume(self.spec),
        )
        found = stateful.statefulset(self.owner, server, current)
        found["metadata"]["annotations"] = {PEERS: str(count)}
        # After all were away, each needs most of the others to be ready.
        found["spec"]["podManagementPolicy"] = "Parallel"
        return found

    @property
    def _selector(self) -> dict[str, str]:
        return self.owner.selector(DATABASE)

    def certificate(self, *keys: str) -> Json:
        """The volume `tls`."""
        return pods.secret("tls", self.spec.tls.secret_name or self.names.secret("tls"), *keys)

    def _pod(self) -> Json:
        volumes = [
            pods.config("config", self.names.config),
            self.certificate("tls.crt", "tls.key", "ca.crt"),
            {"name": "init", "emptyDir": {"sizeLimit": "16Mi"}},
        ]
        affinity = stateful.apart(self._selector)
        return pods.pod(pods.QDRANT_UID, [self._server()], volumes, affinity=affinity, terminationGracePeriodSeconds=60)

    def _server(self) -> Json:
        def asked(path: str) -> Json:
            return {"httpGet": {"path": path, "port": "http", "scheme": "HTTPS"}, "periodSeconds": 5}

        return pods.container(
            "qdrant",
            self.images.qdrant,
            command=["sh", "/config/qdrant-start"],
            env=[
                pods.text("NAME", self.names.name),
                pods.text("DOMAIN", self.names.domain),
                pods.text("CONFIG", "/config"),
                pods.text("DATA", DATA),
                pods.text("QDRANT_INIT_FILE_PATH", f"{INIT}/.qdrant-initialized"),
                pods.text("QDRANT__STORAGE__STORAGE_PATH", f"{DATA}/storage"),
                pods.text("QDRANT__STORAGE__SNAPSHOTS_PATH", f"{DATA}/snapshots"),
                pods.from_secret("QDRANT__SERVICE__API_KEY", self.names.secret("credentials"), "api-key"),
                pods.from_secret("QDRANT__SERVICE__READ_ONLY_API_KEY", self.names.secret("monitor"), "api-key"),
            ],
            ports=[
                {"name": name, "containerPort": number, "protocol": "TCP"}
                for name, number in (("http", PORT), ("grpc", GRPC_PORT), ("raft", RAFT_PORT))
            ],
            resources=stateful.bounded(self.spec.resources),
            # One that loads many segments may take an hour. Nothing but its own end restarts it.
            startupProbe=asked("/healthz") | {"failureThreshold": 720, "timeoutSeconds": 5},
            readinessProbe=asked("/readyz") | {"timeoutSeconds": 5},
            volumeMounts=[
                pods.mount(VOLUME, DATA, writable=True),
                pods.mount("init", INIT, writable=True),
                pods.mount("config", "/config"),
                pods.mount("config", "/qdrant/config/production.yaml") | {"subPath": "production.yaml"},
                pods.mount("tls", "/tls"),
            ],
        )

    def collections(self) -> Json:
        """What makes the collections that are not there: a Deployment, so that none of it starts a peer again."""
        making = pods.container(
            "collections",
            self.images.curl,
            command=["sh", "/config/qdrant-collections"],
            env=[
                pods.text("URL", f"https://{self.names.endpoint}"),
                pods.text("CONFIG", "/config"),
                *self.asking(),
            ],
            resources={"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
            volumeMounts=[pods.mount("config", "/config"), *self.asking_mounts()],
        )
        template = pods.pod(pods.QDRANT_UID, [making], [pods.config("config", self.names.config), *self.asking_from()])
        annotations = {RESTART: self.restart} if self.restart else {}
        return self.owner.owned("apps/v1", "Deployment", self.names.collections, COLLECTIONS) | {
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": self.owner.selector(COLLECTIONS)},
                "template": {
                    "metadata": {"labels": self.owner.labels(COLLECTIONS), "annotations": annotations},
                    "spec": template,
                },
            }
        }

    def asking(self) -> list[Json]:
        """The variables of a pod that asks the peers."""
        return [pods.text("SECRETS", "/secrets"), pods.text("TLS", "/tls"), pods.text("RUN", "/run/key")]

    def asking_from(self) -> list[Json]:
        """Its volumes."""
        return [
            self.certificate("ca.crt"),
            pods.secret("secrets", self.names.secret("credentials"), "api-key"),
            {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ]

    def asking_mounts(self) -> list[Json]:
        """Where they are."""
        return [
            pods.mount("tls", "/tls"),
            pods.mount("secrets", "/secrets"),
            pods.mount("run", "/run/key", writable=True),
        ]
