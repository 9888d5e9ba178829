"""Redis, Valkey and sentinels: two samples → entity, pulse, events. Pure.

source/redis → RedisSample → delta → state, memory, latency → entity, pulse, events → Facts
"""

from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.mapping.redis.delta import Delta
from kgents_collector_db.mapping.redis.entity import entity
from kgents_collector_db.mapping.redis.events import events
from kgents_collector_db.mapping.redis.pulse import pulse
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_collector_db.mapping.seen import not_seen
from kgents_shared.contract.facts import Facts


def observe(previous: RedisSample | None, current: RedisSample, scope: Scope) -> Facts:
    """All facts of one poll; rates and events compare it with `previous`, the poll before it."""
    delta = Delta.between(previous, current)
    database = entity(previous, current, scope)
    is_confirmed = previous is not None and previous.unreachable is not None
    return Facts(
        entities=[database],
        pulses=[pulse(previous, current, delta, database, scope)],
        events=list(events(previous, current, database, scope)),
        unread=not_seen(current.unreachable, scope, is_confirmed=is_confirmed),
    )
