"""More than one server: a Cluster of CloudNativePG, which elects a primary and fences the old one. Pure."""

from typing import Any, Final

from kgents_operator.desired import settings
from kgents_operator.desired.owner import DATABASE, IDENTITY, MARK, Owner
from kgents_operator.desired.postgres_names import PostgresNames
from kgents_operator.desired.postgres_server import volume
from kgents_operator.images import Images
from kgents_operator.resources.postgres import Spec
from kgents_shared.kubernetes.quantity import number

Json = dict[str, Any]

GROUP: Final = "postgresql.cnpg.io"
API_VERSION: Final = f"{GROUP}/v1"


def cluster(owner: Owner, names: PostgresNames, spec: Spec, images: Images) -> Json:
    """The Cluster. It has no owner: its volumes go with it, and one deletion must not take the data."""
    memory = number(str(spec.resources.limits.memory)) or 512 * settings.MIB
    storage: Json = {"size": str(spec.storage.size)}
    if spec.storage.storage_class_name is not None:
        storage["storageClass"] = spec.storage.storage_class_name
    found = owner.retained(API_VERSION, "Cluster", names.name, DATABASE)
    found["metadata"]["annotations"] = {IDENTITY: volume(spec).holds}
    return found | {
        "spec": {
            "instances": spec.replicas,
            "imageName": images.postgres_cnpg.replace("{version}", str(spec.version)),
            "primaryUpdateStrategy": "unsupervised",
            "enablePDB": True,
            "storage": storage,
            "resources": {
                "requests": {"cpu": str(spec.resources.requests.cpu), "memory": str(spec.resources.requests.memory)},
                "limits": {"cpu": str(spec.resources.limits.cpu), "memory": str(spec.resources.limits.memory)},
            },
            "inheritedMetadata": {"labels": {MARK: "postgres"}},
            "postgresql": {
                "shared_preload_libraries": ["pg_stat_statements"],
                "parameters": {
                    "max_connections": str(settings.CONNECTIONS),
                    "shared_buffers": f"{max(1, int(memory / 4 / settings.MIB))}MB",
                    "pg_stat_statements.max": "5000",
                    "pg_stat_statements.track": "top",
                    "idle_in_transaction_session_timeout": "10min",
                    "log_lock_waits": "on",
                },
            },
            "managed": {
                "roles": [
                    {
                        "name": "kgents",
                        "ensure": "present",
                        "login": True,
                        "connectionLimit": 5,
                        "inRoles": ["pg_monitor"],
                        "passwordSecret": {"name": names.secret("monitor")},
                    }
                ]
            },
            "bootstrap": {
                "initdb": {
                    "database": spec.database,
                    "owner": spec.database,
                    "postInitApplicationSQL": ["CREATE EXTENSION IF NOT EXISTS pg_stat_statements"],
                }
            },
        }
    }


def pooler(owner: Owner, names: PostgresNames, spec: Spec) -> Json:
    """CloudNativePG's own PgBouncer before the primary."""
    return owner.owned(API_VERSION, "Pooler", names.pooler, "pooler") | {
        "spec": {
            "cluster": {"name": names.name},
            "instances": 2,
            "type": "rw",
            "pgbouncer": {
                "poolMode": spec.pooler.pool_mode,
                "parameters": {
                    "max_client_conn": str(spec.pooler.max_connections),
                    "default_pool_size": str(settings.POOL),
                },
            },
        }
    }
