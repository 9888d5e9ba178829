"""KG-320 to KG-324, PgBouncer: what collector-db measures → waiting, full, down. In the catalogue."""

from typing import Final

from kgents_health_scorer.checks.check import Check, SampleCheck, Thresholds
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import pgbouncer

_POOLER: Final = frozenset({kinds.POOLER})

CHECKS: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-320",
        name="clients wait for the pooler",
        applies_to=_POOLER,
        figure=pgbouncer.EXHAUSTED_WAIT_SECONDS,
        thresholds=Thresholds(warn=1.0, crit=10.0),
        unit="s",
        text="A client of {entity} has waited {value} for a server connection (threshold {threshold}).",
        why="All server connections of a pool are busy. Find slow transactions, or raise `default_pool_size`.",
        source="Ours: a second is felt, ten are a timeout.",
    ),
    SampleCheck(
        id="KG-321",
        name="pooler near its client limit",
        applies_to=_POOLER,
        figure=pgbouncer.CLIENTS_RATIO,
        thresholds=Thresholds(warn=0.8, crit=0.95, fatal=1.0),
        unit="1",
        text="{entity} uses {value} of its `max_client_conn` (threshold {threshold}).",
        why="At `max_client_conn` it rejects clients.",
        source="As KG-301.",
    ),
    SampleCheck(
        id="KG-322",
        name="pooler down",
        applies_to=_POOLER,
        figure=pgbouncer.UP,
        is_fact=True,
        thresholds=Thresholds(crit=0.5, fatal=0.0),
        worse="lower",
        unit="{answer}",
        text="PgBouncer is down: {entity} does not answer.",
        why="Its clients cannot reach the database behind it. KG-001 names the cause and raises the alert.",
        source="It either answers or it does not.",
        alerts=False,
    ),
    SampleCheck(
        id="KG-323",
        name="clients wait for a paused database",
        applies_to=_POOLER,
        figure=pgbouncer.PAUSED_WAIT_SECONDS,
        thresholds=Thresholds(warn=5.0, crit=60.0),
        unit="s",
        text="A client of {entity} has waited {value} for a database that is paused (threshold {threshold}).",
        why="An operator paused it and has not resumed it: RESUME in the admin console lets clients continue.",
        source="Ours: a switch-over pauses for some seconds.",
    ),
    SampleCheck(
        id="KG-324",
        name="pooler cannot reach its server",
        applies_to=_POOLER,
        figure=pgbouncer.POOLS_CUT_OFF,
        thresholds=Thresholds(crit=1.0),
        unit="{pool}",
        text="{entity} has {value} without a connection to a server, and clients wait.",
        why="The PostgreSQL server behind it is down or unreachable, or lets no connection in. Check that server "
        "first.",
        source="`SHOW POOLS`: clients wait for a second or longer, and there is no server connection.",
    ),
)
