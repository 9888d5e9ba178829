"""Two PgBouncers before the server: Deployment, Service, PodDisruptionBudget, NetworkPolicy. Pure."""

from typing import Any, Final

from kgents_operator.desired import settings
from kgents_operator.desired.network import allowed, everywhere, policy, port
from kgents_operator.desired.owner import MARK, RESTART, Owner, digest
from kgents_operator.desired.pods import POOLER_UID, config, container, mount, pod, secret
from kgents_operator.desired.postgres_names import PostgresNames
from kgents_operator.desired.postgres_server import CLIENT
from kgents_operator.desired.stateful import apart
from kgents_operator.images import Images
from kgents_operator.resources.postgres import POOLER_PORT, Spec

Json = dict[str, Any]

POOLER: Final = "pooler"
REPLICAS: Final = 2
"""So that one of them can be away; each has connections to the server of its own."""


def objects(owner: Owner, names: PostgresNames, spec: Spec, images: Images, restart: str) -> list[Json]:
    """All of it."""
    service = owner.owned("v1", "Service", names.pooler, POOLER)
    budget = owner.owned("policy/v1", "PodDisruptionBudget", names.pooler, POOLER)
    clients = [
        {"podSelector": {"matchLabels": {CLIENT: "true"}}},
        everywhere("collector-db"),
    ]
    return [
        service | {"spec": {"selector": owner.selector(POOLER), "ports": [port("pgbouncer", POOLER_PORT)]}},
        _deployment(owner, names, spec, images, restart),
        budget | {"spec": {"maxUnavailable": 1, "selector": {"matchLabels": owner.selector(POOLER)}}},
        policy(owner, POOLER, owner.selector(POOLER), [{"from": clients, "ports": [allowed(POOLER_PORT)]}]),
    ]


def _deployment(owner: Owner, names: PostgresNames, spec: Spec, images: Images, restart: str) -> Json:
    ini = settings.pgbouncer(spec, names.host)
    annotations = {"kgents.io/config": digest(ini)} | ({RESTART: restart} if restart else {})
    template = pod(
        POOLER_UID,
        [_container(images)],
        [
            config("config", names.config),
            secret("secrets", names.secret("pooler"), "userlist.txt"),
            secret("tls", spec.tls.secret_name or names.secret("tls")),
        ],
        affinity=apart(owner.selector(POOLER)),
        # For as long as clients need to connect to the other one.
        terminationGracePeriodSeconds=60,
    )
    labels = owner.labels(POOLER) | {MARK: "pgbouncer"}
    return owner.owned("apps/v1", "Deployment", names.pooler, POOLER) | {
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": owner.selector(POOLER)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": template},
        }
    }


def _container(images: Images) -> Json:
    listens = {"tcpSocket": {"port": "pgbouncer"}, "periodSeconds": 10, "timeoutSeconds": 5}
    return container(
        "pgbouncer",
        images.pgbouncer,
        command=["pgbouncer", "/config/pgbouncer.ini"],
        ports=[{"name": "pgbouncer", "containerPort": POOLER_PORT, "protocol": "TCP"}],
        resources={"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        readinessProbe=listens,
        livenessProbe=listens | {"failureThreshold": 6},
        volumeMounts=[mount("config", "/config"), mount("secrets", "/secrets"), mount("tls", settings.TLS)],
    )
