"""The dashboards: which panels each has."""

from functools import partial
from typing import Final

from kgents_shared.contract.vocabulary import kinds
from observability.databases import POSTGRESQL, QDRANT, REDIS
from observability.panels import CLUSTER, NAMED, NEEDS, Board, Panel, Row, figure

_RED: Final = (("green", None), ("orange", 1.0), ("red", 10.0))
_ANY_IS_RED: Final = (("green", None), ("red", 1.0))
_ANY_MISSING_IS_RED: Final = (("red", None), ("green", 1.0))
_LEVELS: Final = ("critical", "warning", "unknown", "healthy")


def _level(level: str) -> Panel:
    return Panel(
        title=f"{level.capitalize()} entities",
        kind="stat",
        width=4,
        query=f'sum(kgents_health_entities{{{CLUSTER}, level="{level}"}})',
        steps={"critical": _ANY_IS_RED, "warning": (("green", None), ("orange", 1.0))}.get(level, (("blue", None),)),
    )


PIPELINE: Final = Board(
    uid="kgents-pipeline",
    title="kgents / Pipeline",
    description="The services of kgents themselves: whether they run, are in sync, and what they cost.",
    rows=(
        Row(
            title="At work",
            panels=(
                Panel(
                    title="Services that answer",
                    query='count by (service_name) (target_info{service_name!=""})',
                    legend="{{service_name}}",
                    description="Instances whose /metrics are read.",
                ),
                Panel(
                    title="In sync",
                    query=f"max by (service_name) (kgents_in_sync * {NAMED})",
                    legend="{{service_name}}",
                    unit="bool_yes_no",
                    description="Whether an instance of the service is in sync with what it watches.",
                ),
                Panel(
                    title="Connected to NATS",
                    query=f"min by (service_name) (kgents_bus_connected * {NAMED})",
                    legend="{{service_name}}",
                    unit="bool_yes_no",
                    description="0: an instance has no connection.",
                ),
            ),
        ),
        Row(
            title="Behind",
            panels=(
                Panel(
                    title="Oldest change that is not published",
                    query="kgents_lag_seconds",
                    unit="s",
                    legend="{{instance}}",
                    description="Only of services that write state.",
                ),
                Panel(title="Subjects waiting to be published", query="kgents_table_backlog", legend="{{instance}}"),
                Panel(
                    title="Messages waiting on disk",
                    query="kgents_outbox_messages",
                    legend="{{instance}}",
                    description="Samples and events that wait while NATS is away.",
                ),
            ),
        ),
        Row(
            title="Failures",
            panels=(
                Panel(title="Reconnects", query="increase(kgents_bus_reconnects_total[10m])", legend="{{instance}}"),
                Panel(
                    title="Dead letters",
                    query="increase(kgents_dead_letters_total[10m])",
                    legend="{{instance}}",
                    description="Messages that could not be read: `kgents doctor` lists them.",
                ),
                Panel(
                    title="Dropped messages",
                    query="increase(kgents_outbox_evicted_total[10m])",
                    legend="{{instance}}",
                    description="The buffer on disk was full: samples and events are lost.",
                ),
                Panel(title="Another writer", query="increase(kgents_conflicts_total[10m])", legend="{{instance}}"),
                Panel(
                    title="Lost messages that were found",
                    query="increase(kgents_losses_total[10m])",
                    legend="{{instance}}",
                ),
                Panel(
                    title="Long computations",
                    query="increase(kgents_event_loop_stalls_total[10m])",
                    legend="{{instance}}",
                ),
            ),
        ),
        Row(
            title="Cost",
            panels=(
                Panel(
                    title="CPU", query="rate(process_cpu_seconds_total[5m])", legend="{{instance}}", unit="percentunit"
                ),
                Panel(title="Memory", query="process_resident_memory_bytes", legend="{{instance}}", unit="bytes"),
                Panel(title="Subjects held", query="kgents_table_rows", legend="{{instance}}"),
            ),
        ),
    ),
)

OVERVIEW: Final = Board(
    uid="kgents-overview",
    title="kgents / Clusters",
    description="Health of everything that is observed, by cluster and kind.",
    rows=(
        Row(
            title="Now",
            panels=(
                *map(_level, _LEVELS),
                Panel(
                    title="Alerts that fire",
                    kind="stat",
                    width=4,
                    query=f"sum(kgents_alerts_firing{{{CLUSTER}}}) or 0 * sum(kgents_health_status{{{CLUSTER}}})",
                    steps=_RED,
                ),
                Panel(
                    title="Clusters that are critical",
                    kind="stat",
                    width=4,
                    steps=_ANY_IS_RED,
                    query=f'sum(kgents_health_status{{{CLUSTER}, status="critical"}})',
                ),
            ),
        ),
        Row(
            title="By kind",
            panels=(
                Panel(
                    title="Worst score",
                    query=f"min by (kind) (kgents_health_worst_score{{{CLUSTER}}})",
                    legend="{{kind}}",
                    unit="percentunit",
                    width=12,
                    description="1: healthy, below 0.5: critical.",
                ),
                Panel(
                    title="Entities",
                    query=f"sum by (kind) (kgents_health_entities{{{CLUSTER}}})",
                    legend="{{kind}}",
                    width=12,
                ),
                Panel(
                    title="Unhealthy",
                    width=12,
                    legend="{{kind}} {{level}}",
                    query=f'sum by (kind, level) (kgents_health_entities{{{CLUSTER}, level=~"critical|warning"}})',
                ),
                Panel(
                    title="Alerts by check",
                    query=f"sum by (check, severity) (kgents_alerts_firing{{{CLUSTER}}})",
                    legend="{{check}} {{severity}}",
                    width=12,
                ),
            ),
        ),
    ),
)

_nats_server = partial(figure, kind=kinds.NATS_SERVER)
_stream = partial(figure, kind=kinds.NATS_STREAM)
_consumer = partial(figure, kind=kinds.NATS_CONSUMER, top=20)

NATS: Final = Board(
    uid="kgents-nats",
    title="kgents / NATS",
    description=f"Servers, streams and consumers. {NEEDS}",
    rows=(
        Row(
            title="Servers",
            panels=(
                _nats_server("connections", "Connections"),
                _nats_server("in_msgs_per_sec", "Messages received"),
                _nats_server("out_msgs_per_sec", "Messages sent"),
                _nats_server("jetstream_storage_ratio", "JetStream: disk used"),
                _nats_server("slow_consumers_per_min", "Slow consumers disconnected"),
                _nats_server("memory_bytes", "Memory"),
            ),
        ),
        Row(
            title="Streams",
            panels=(
                _stream("messages", "Messages"),
                _stream("bytes", "Bytes"),
                _stream("messages_per_sec", "Messages stored"),
            ),
        ),
        Row(
            title="Consumers",
            panels=(
                _consumer("pending_messages", "Pending, the largest 20"),
                _consumer("ack_pending", "Unacknowledged, the largest 20"),
                _consumer("redelivered", "Redelivered, the largest 20"),
            ),
        ),
    ),
)

_docker = partial(figure, kind=kinds.CONTAINER, source="docker", top=20)
_engine = partial(figure, kind=kinds.HOST, source="docker")

DOCKER: Final = Board(
    uid="kgents-docker",
    title="kgents / Docker",
    description=f"Engines and their containers. {NEEDS}",
    rows=(
        Row(
            title="Engines",
            panels=(
                _engine("containers_running", "Containers running"),
                _engine("containers_cpu_percent", "CPU of all containers"),
                _engine("containers_memory_bytes", "Memory of all containers"),
            ),
        ),
        Row(
            title="Containers, the largest 20",
            panels=(
                _docker("cpu_percent", "CPU, of one core"),
                _docker("memory_bytes", "Memory"),
                _docker("cpu_throttled_ratio", "Throttled"),
                _docker("network_rx_bytes", "Received"),
                _docker("network_tx_bytes", "Sent"),
                _docker("restarts", "Restarts"),
            ),
        ),
    ),
)

_node = partial(figure, kind=kinds.NODE, source="k8s")
_pod = partial(figure, kind=kinds.POD, source="k8s", top=20)

KUBERNETES: Final = Board(
    uid="kgents-kubernetes",
    title="kgents / Kubernetes",
    description=f"Nodes, workloads and pods. {NEEDS}",
    rows=(
        Row(
            title="Workloads",
            panels=tuple(
                Panel(
                    title=title,
                    width=6,
                    legend="{{level}}",
                    query=f'sum by (level) (kgents_health_entities{{{CLUSTER}, kind="{kind}"}})',
                )
                for kind, title in (
                    (kinds.NODE, "Nodes"),
                    (kinds.DEPLOYMENT, "Deployments"),
                    (kinds.SERVICE, "Services"),
                    (kinds.POD, "Pods"),
                )
            ),
        ),
        Row(
            title="Nodes",
            panels=(
                _node("cpu_allocatable_ratio", "CPU of what is allocatable", width=12),
                _node("memory_allocatable_ratio", "Memory of what is allocatable", width=12),
            ),
        ),
        Row(
            title="Pods, the largest 20",
            panels=(
                _pod("cpu_percent", "CPU, of one core"),
                _pod("memory_bytes", "Memory"),
                _pod("memory_limit_ratio", "Memory of the limit"),
            ),
        ),
    ),
)

BOARDS: Final = (PIPELINE, OVERVIEW, POSTGRESQL, REDIS, QDRANT, NATS, DOCKER, KUBERNETES)
