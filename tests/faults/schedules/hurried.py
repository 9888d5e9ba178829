"""`python -m faults.schedules.hurried run SERVICE`: a service with shorter waits, so that schedules take seconds.

What decides after 15 s in production decides after 4 s here. Everything else is the command itself, in a process of
its own.
"""

import importlib
from datetime import timedelta
from typing import Final

Pace = dict[str, dict[str, float | timedelta]]

PACE: Final[Pace] = {
    "kgents_shared.contract.meta": {"HEARTBEAT_INTERVAL_S": 1.0, "HEARTBEAT_TTL_S": 4},
    "kgents_shared.bus.lease": {
        "TTL_S": 4, "MARGIN_S": 0.5, "RENEW_INTERVAL_S": 1.0, "RETRY_S": 0.2, "POLL_INTERVAL_S": 0.5,
    },
    "kgents_shared.bus.client": {"PING_INTERVAL_S": 2.0, "BACKOFF_MAX_S": 0.5, "STABLE_AFTER_S": 2.0},
    "kgents_shared.bus.publish": {"ACK_TIMEOUT_S": 2.0},
    "kgents_shared.bus.consume": {"RETRY_S": 0.3},
    "kgents_shared.bus.log": {"RETRY_S": 0.3},
    "kgents_shared.bus.losses": {"INTERVAL_S": 4.0},
    "kgents_shared.bus.pull": {"EXPIRES_S": 10.0, "HEARTBEAT_S": 1.0, "DROPPED_S": 3.0},
    "kgents_shared.bus.state_audit": {"AUDIT_INTERVAL_S": 4.0},
    "kgents_shared.runtime.partition": {"RETRY_FIRST_S": 0.3, "RETRY_MAX_S": 1.0},
    "kgents_shared.runtime.process": {"DRAIN_S": 2.0},
}  # fmt: skip
OF_SERVICE: Final[dict[str, Pace]] = {
    "collector-k8s": {
        "kgents_shared.kubernetes.client": {
            "CONNECT_S": 2.0, "HEAD_S": 4.0, "SILENT_S": 4.0, "ALIVE_S": 2.0, "RELOGIN_S": 2.0,
        },
        "kgents_shared.kubernetes.error": {"REFUSAL_S": 2.0},
        "kgents_shared.kubernetes.reflector": {"CHECK_S": 5.0},
        "kgents_shared.kubernetes.retry": {
            "BACKOFF_FIRST_S": 0.2, "BACKOFF_MAX_S": 1.0, "PARK_S": 2.0, "RETRY_AFTER_MAX_S": 2.0,
        },
        "kgents_shared.kubernetes.probe": {"EVERY_S": 2.0},
    },
    "collector-db": {"kgents_collector_db.app": {"SPREAD_S": 0.5}},
    "collector-host": {"kgents_collector_host.app": {"TURN_S": 0.0}},
    "health-scorer": {
        "kgents_health_scorer.source": {"SILENT_AFTER_S": 10.0},
        "kgents_health_scorer.reducer": {"LOST_STAYS": timedelta(seconds=10)},
    },
    "topology-builder": {"kgents_topology_builder.reducer": {"CONTESTED_NS": 10_000_000_000}},
}  # fmt: skip


def hurry(service: str) -> None:
    """Shorten the waits of a service before anything else imports them."""
    for module_name, values in (PACE | OF_SERVICE.get(service, {})).items():
        module = importlib.import_module(module_name)
        for name, value in values.items():
            setattr(module, name, value)


def missing() -> list[str]:
    """The waits above that the product no longer has: they would be as long as in production."""
    return [
        f"{module_name}.{name}"
        for pace in (PACE, *OF_SERVICE.values())
        for module_name, values in pace.items()
        for name in values
        if not hasattr(importlib.import_module(module_name), name)
    ]


if __name__ == "__main__":
    import sys

    hurry(sys.argv[2])
    from kgents_cli.app import main

    main()
