"""The settings of a server: those of deploy/databases, sized by what is asked for. Pure."""

from typing import Final

from kgents_operator.files import text
from kgents_operator.resources.redis import Spec

_UNITS: Final = {"kb": 1024, "mb": 1024**2, "gb": 1024**3}
MIB: Final = 1024**2


def redis(spec: Spec) -> str:
    """redis.conf: of two lines for one setting the server takes the last."""
    memory = int(spec.max_memory[:-2]) * _UNITS[spec.max_memory[-2:]]
    own = {
        "maxmemory": spec.max_memory,
        "maxmemory-policy": spec.eviction_policy,
        # What is kept for replicas that were away comes on top of maxmemory.
        "repl-backlog-size": f"{max(MIB, memory // 8)}",
        "client-output-buffer-limit": f"replica {max(memory, 16 * MIB)} {max(memory // 4, 8 * MIB)} 60",
    }
    # There are so few replicas that waiting for more of them before a copy begins is in vain.
    own["repl-diskless-sync-delay"] = "0"
    if not spec.persistence.enabled:
        own |= {"appendonly": "no", "save": '""'}
    lines = "\n".join(f"{name} {value}" for name, value in own.items())
    return f"{text('redis.conf')}\n# By the RedisCluster.\n{lines}\n"
