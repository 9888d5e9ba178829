"""The kinds of custom resource, and what differs between them: everything else is the same loop."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from kgents_operator import (
    postgres_credentials,
    postgres_status,
    qdrant_credentials,
    qdrant_status,
    redis_credentials,
    redis_status,
)
from kgents_operator.desired import cnpg, postgres, qdrant, redis
from kgents_operator.desired.outcome import Desired, Observed
from kgents_operator.desired.owner import Owner
from kgents_operator.images import Images
from kgents_operator.kinds import CHILDREN, POSTGRES_API, QDRANT_API, REDIS_API, Api
from kgents_operator.resources.postgres import PostgresCluster
from kgents_operator.resources.postgres import Spec as PostgresSpec
from kgents_operator.resources.qdrant import QdrantCluster
from kgents_operator.resources.qdrant import Spec as QdrantSpec
from kgents_operator.resources.redis import RedisCluster
from kgents_operator.resources.redis import Spec as RedisSpec
from kgents_operator.resources.server import ServerSpec, ServerStatus
from kgents_operator.status import Seen

Json = dict[str, Any]


class Managed(Struct, frozen=True):
    """One kind. Its spec is read by itself, and is nothing but handed on by the loop."""

    api: Api
    children: tuple[Api, ...]
    """What is watched beside it."""
    backends: tuple[str, ...]
    """What pulses call its servers."""
    read: Callable[[Json], Any]
    """The spec of a resource; msgspec.ValidationError: it is not as its schema says."""
    unreadable: ServerSpec
    """Stands for a spec that cannot be read: of it nothing is made."""
    desired: Callable[[Owner, Any, dict[str, str], Observed, Images], Desired[Any]]
    secrets: Callable[[Owner, Any, Any, datetime], list[Json]]
    """Of names and a spec every Secret, each with another password at each call."""
    status: Callable[[Seen[Any, Any]], ServerStatus]
    several_by: str = ""
    """The API that more than one replica need, if one does."""


_OF_CNPG: Final = ("Cluster", "Pooler")


def _but(*kinds: str) -> tuple[Api, ...]:
    return tuple(each for each in CHILDREN if each.kind not in kinds)


POSTGRES: Final = Managed(
    api=POSTGRES_API,
    children=CHILDREN,
    backends=("postgres",),
    read=lambda content: msgspec.convert(content, PostgresCluster).spec,
    unreadable=PostgresSpec(database="unreadable"),
    desired=postgres.desired,
    secrets=postgres_credentials.made,
    status=postgres_status.status,
    several_by=cnpg.API_VERSION,
)
REDIS: Final = Managed(
    api=REDIS_API,
    children=_but("Deployment", *_OF_CNPG),
    backends=("redis", "valkey"),
    read=lambda content: msgspec.convert(content, RedisCluster).spec,
    unreadable=RedisSpec(),
    desired=redis.desired,
    secrets=redis_credentials.made,
    status=redis_status.status,
)
QDRANT: Final = Managed(
    api=QDRANT_API,
    children=_but(*_OF_CNPG),
    backends=("qdrant",),
    read=lambda content: msgspec.convert(content, QdrantCluster).spec,
    unreadable=QdrantSpec(),
    desired=qdrant.desired,
    secrets=qdrant_credentials.made,
    status=qdrant_status.status,
)
MANAGED: Final = (POSTGRES, REDIS, QDRANT)
