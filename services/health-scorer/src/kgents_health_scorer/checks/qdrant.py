"""KG-360 to KG-379, Qdrant: what collector-db measures → collections, optimizers, answers, replicas, consensus."""

from typing import Final

from msgspec import UNSET

from kgents_health_scorer.checks.check import Check, SampleCheck, Thresholds, custom
from kgents_shared.contract.pulse import Pulse, Reading
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import qdrant as figure

_DATABASE: Final = frozenset({kinds.DATABASE})
REQUESTS_MIN: Final = 20.0
"""Fewer requests in a window are no verdict on how it answers."""

_MISSION: Final = "The absolute profile."


def _of_many(pulse: Pulse, name: str) -> Reading:
    """A figure about requests; with hardly any there is no verdict, and none is left open."""
    requests = custom(pulse, figure.WINDOW_REQUESTS)
    if isinstance(requests, int | float):
        return custom(pulse, name) if requests >= REQUESTS_MIN else UNSET
    return requests


CHECKS: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-360",
        name="Qdrant down",
        applies_to=_DATABASE,
        figure=figure.UP,
        is_fact=True,
        thresholds=Thresholds(crit=0.5, fatal=0.0),
        unit="{answer}",
        worse="lower",
        text="Qdrant is down: {entity} does not answer.",
        why="The pulse's cause says how: refused, frozen, unreachable. A rejected key is not this: then its "
        "state is not known.",
        source="qdrant_up < 1.",
        alerts=False,  # KG-001 is the alert
    ),
    SampleCheck(
        id="KG-361",
        name="collections red",
        applies_to=_DATABASE,
        figure=figure.COLLECTIONS_RED,
        thresholds=Thresholds(crit=1.0),
        unit="{red_collection}",
        text="{entity} has {value}.",
        why="Its storage failed for good: the collection's reason is what the server reports. Restore it "
        "from a replica or a snapshot.",
        source="The server's own status; no threshold is involved.",
    ),
    SampleCheck(
        id="KG-362",
        name="collections grey",
        applies_to=_DATABASE,
        figure=figure.COLLECTIONS_GREY,
        thresholds=Thresholds(warn=1.0),
        unit="{grey_collection}",
        text="{entity} has {value}.",
        why="Optimizations have waited since a restart and nothing starts them. Any update of the collection does.",
        source="The server's own status. A warning: it answers, only more slowly.",
    ),
    SampleCheck(
        id="KG-363",
        name="optimizers fail",
        applies_to=_DATABASE,
        figure=figure.OPTIMIZER_ERRORS,
        thresholds=Thresholds(crit=1.0),
        unit="{collection}",
        text="The optimizer of {entity} fails for {value}.",
        why="Segments are no longer merged or indexed, so searches slow down and the disk fills. Its log says why.",
        source="The server's own `optimizer_status`.",
    ),
    SampleCheck(
        id="KG-364",
        name="Qdrant responds slowly",
        applies_to=_DATABASE,
        figure=figure.REQUEST_DURATION_SECONDS,
        reads=_of_many,
        thresholds=Thresholds(warn=0.5, crit=2.0),
        unit="s",
        text="{entity} takes {value} per request on average (threshold {threshold}).",
        why="Check for unindexed filters, optimizers at work, or a working set that no longer fits into memory.",
        source=f"0.5 s: as in the absolute profile; judged of at least {REQUESTS_MIN:.0f} requests.",
    ),
    SampleCheck(
        id="KG-365",
        name="Qdrant requests fail",
        applies_to=_DATABASE,
        figure=figure.REQUEST_FAILURE_RATIO,
        reads=_of_many,
        thresholds=Thresholds(warn=0.01, crit=0.05, fatal=0.5),
        unit="1",
        text="{entity} fails {value} of its requests (threshold {threshold}).",
        why="Its users see errors. Check red collections and dead replicas first.",
        source=f"As KG-103; judged of at least {REQUESTS_MIN:.0f} requests.",
    ),
    SampleCheck(
        id="KG-366",
        name="dead shard replicas",
        applies_to=_DATABASE,
        figure=figure.DEAD_REPLICAS,
        thresholds=Thresholds(warn=1.0),
        unit="{dead_shard_replica}",
        text="{entity} reports {value}.",
        why="Redundancy is lost. The peer that holds them is down, or they could not catch up.",
        source="Ours: searches still answer from the others, so it is a warning.",
    ),
    SampleCheck(
        id="KG-367",
        name="shards without an active replica",
        applies_to=_DATABASE,
        figure=figure.SHARDS_WITHOUT_ACTIVE_REPLICA,
        thresholds=Thresholds(crit=1.0),
        unit="{shard}",
        text="{entity} has {value} without an active replica.",
        why="What they hold cannot be found. Restart their peers, or restore a snapshot.",
        source="Ours: one shard is a share of every answer.",
    ),
    SampleCheck(
        id="KG-368",
        name="Qdrant has no leader",
        applies_to=_DATABASE,
        figure=figure.RAFT_HAS_LEADER,
        thresholds=Thresholds(crit=0.5),
        unit="{answer}",
        worse="lower",
        text="{entity} knows no leader of its cluster.",
        why="No collection can be created, changed or moved: the peers have no majority.",
        source="Raft; two samples in a row, since an election takes a second.",
    ),
    SampleCheck(
        id="KG-369",
        name="Qdrant consensus stopped",
        applies_to=_DATABASE,
        figure=figure.CONSENSUS_WORKING,
        thresholds=Thresholds(crit=0.5),
        unit="{answer}",
        worse="lower",
        text="The consensus thread of {entity} has stopped.",
        why="This peer takes no part in decisions until it is restarted. Its log says why.",
        source="`consensus_thread_status` of `/cluster`.",
    ),
    SampleCheck(
        id="KG-370",
        name="Qdrant cannot reach its peers",
        applies_to=_DATABASE,
        figure=figure.UNREACHABLE_PEERS_RATIO,
        thresholds=Thresholds(warn=0.01, crit=0.5, fatal=1.0),
        unit="1",
        text="{entity} cannot reach {value} of its peers (threshold {threshold}).",
        why="They are down or unreachable. From half on there is no majority.",
        source="Ours: one is worth a check, half of them is an outage of the cluster.",
    ),
    SampleCheck(
        id="KG-371",
        name="Qdrant short of memory maps",
        applies_to=_DATABASE,
        figure=figure.MMAPS_RATIO,
        thresholds=Thresholds(warn=0.8, crit=0.95, fatal=1.0),
        unit="1",
        text="{entity} uses {value} of the memory maps that the kernel allows (threshold {threshold}).",
        why="At the limit segments cannot be opened. Raise `vm.max_map_count`, or have fewer segments.",
        source="Ours.",
    ),
    SampleCheck(
        id="KG-372",
        name="Qdrant short of file descriptors",
        applies_to=_DATABASE,
        figure=figure.FDS_RATIO,
        thresholds=Thresholds(warn=0.8, crit=0.95, fatal=1.0),
        unit="1",
        text="{entity} uses {value} of its file descriptors (threshold {threshold}).",
        why="At the limit it fails to open segments and to accept connections. Raise its limit.",
        source="Ours.",
    ),
    SampleCheck(
        id="KG-373",
        name="Qdrant in recovery mode",
        applies_to=_DATABASE,
        figure=figure.RECOVERY_MODE,
        thresholds=Thresholds(crit=1.0),
        unit="{answer}",
        text="{entity} is in recovery mode.",
        why="It was started so, mostly because it ran out of memory while loading: collections can only be deleted.",
        source="No threshold is involved.",
    ),
)

ABSOLUTE: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-377",
        name="many collections",
        applies_to=_DATABASE,
        figure=figure.COLLECTIONS_COUNT,
        thresholds=Thresholds(warn=20.0),
        unit="{collection}",
        text="{entity} has {value} (threshold {threshold}).",
        why="More than the platform was planned for: one collection with a payload field for tenants does with less.",
        source=_MISSION,
    ),
    SampleCheck(
        id="KG-378",
        name="slow requests, however few",
        applies_to=_DATABASE,
        figure=figure.REQUEST_DURATION_SECONDS,
        thresholds=Thresholds(warn=0.5),
        unit="s",
        text="{entity} takes {value} per request on average (threshold {threshold}).",
        why="As KG-364, but also judged of a single request.",
        source=_MISSION,
    ),
    SampleCheck(
        id="KG-379",
        name="many queries",
        applies_to=_DATABASE,
        figure=figure.QUERIES_PER_SECOND,
        thresholds=Thresholds(warn=5_000.0),
        unit="{query}/s",
        text="{entity} answers {value} (threshold {threshold}).",
        why="More than the platform was planned for. KG-364 judges whether it keeps up.",
        source=_MISSION,
    ),
)
"""Opt-in: absolute figures that mean trouble on one platform and health on another."""
