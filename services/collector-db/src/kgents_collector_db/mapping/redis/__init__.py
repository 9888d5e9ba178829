"""Redis, Valkey and sentinels: two samples → entity, pulse, events. Pure.

source/redis → RedisSample → delta → state, memory, latency → entity, pulse, events → Facts
"""

from collections.abc import Collection

from msgspec import structs

from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.mapping.redis.delta import Delta
from kgents_collector_db.mapping.redis.entity import KIND, entity
from kgents_collector_db.mapping.redis.events import events
from kgents_collector_db.mapping.redis.pulse import pulse
from kgents_collector_db.mapping.redis.replicas import Claim
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_collector_db.mapping.seen import believed, not_seen
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.vocabulary.attributes import redis as attribute


def observe(previous: RedisSample | None, current: RedisSample, scope: Scope, others: Collection[Claim] = ()) -> Facts:
    """All facts of one poll.

    Args:
        previous: the poll before it: rates and events compare the two.
        current: this poll.
        scope: its context.
        others: what the other servers that are polled were at their last polls.
    """
    known = scope.published.get(Ref(scope.cluster, KIND, scope.name, scope.namespace))
    current = structs.replace(current, unreachable=believed(current.unreachable, known))
    delta = Delta.between(previous, current)
    database = entity(previous, current, scope)
    is_confirmed = previous is not None and previous.unreachable is not None
    return Facts(
        entities=[database],
        pulses=[pulse(previous, current, delta, database, scope, others)],
        events=list(events(previous, current, database, scope)),
        unread=not_seen(current.unreachable, scope, is_confirmed=is_confirmed),
    )


def claim(sample: RedisSample, facts: Facts, scope: Scope) -> Claim:
    """What this server was at this poll, for the mapping of the others."""
    (entity,) = facts.entities
    promoted_from = str(entity.attributes.get(attribute.PROMOTED_FROM, ""))
    is_master = None if sample.info is None else sample.info.role == "master"
    return Claim(scope.at, scope.interval_s, is_master, promoted_from)
