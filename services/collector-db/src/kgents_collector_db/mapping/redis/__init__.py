"""Redis, Valkey and sentinels: two samples → one entity, its pulse, and what happened. Pure.

source/redis → RedisSample → delta → state, memory, latency → entity, pulse, events → Facts
"""

from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.mapping.redis.delta import Delta
from kgents_collector_db.mapping.redis.entity import entity
from kgents_collector_db.mapping.redis.events import events
from kgents_collector_db.mapping.redis.pulse import pulse
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_shared.contract.facts import Facts


def observe(previous: RedisSample | None, current: RedisSample, scope: Scope) -> Facts:
    """Put a look into the words of the contract; `previous` is the poll before, for what happened in between."""
    delta = Delta.between(previous, current)
    database = entity(previous, current, scope)
    return Facts(
        entities=[database],
        pulses=[pulse(previous, current, delta, database, scope)],
        events=list(events(previous, current, database, scope)),
    )
