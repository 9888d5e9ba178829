"""KG-2xx, NATS: what collector-nats measures → room left, lag, slow readers. Part of the catalogue."""

from typing import Final

from kgents_health_scorer.checks.check import AgeCheck, Check, SampleCheck, State, Thresholds
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import nats as attribute
from kgents_shared.contract.vocabulary.figures import nats as figure

_SERVER: Final = frozenset({kinds.NATS_SERVER})
_STREAM: Final = frozenset({kinds.NATS_STREAM})
_CONSUMER: Final = frozenset({kinds.NATS_CONSUMER})
_CLIENT: Final = frozenset({kinds.NATS_CLIENT})

_DAY_S: Final = 86_400.0
_NATS_CLI: Final = "`nats server check jetstream` warns at 75 % and is critical at 90 % by default."


def _refuses_when_full(stream: TopologyEntity) -> bool:
    """Whether the stream has `discard: new`; with `old` a full stream discards its oldest, as configured."""
    return stream.attributes.get(attribute.DISCARD) == "new"


def _without_jetstream_s(state: State) -> float:
    is_so = state.entity.status == "running" and state.entity.reason == "JetStreamUnavailable"
    return state.reason_age_s if is_so else 0.0


CHECKS: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-201",
        name="server near its connection limit",
        applies_to=_SERVER,
        figure=figure.CONNECTIONS_RATIO,
        thresholds=Thresholds(warn=0.8, crit=0.9, fatal=1.0),
        unit="1",
        text="{entity} uses {value} of its allowed connections (threshold {threshold}).",
        why="At the limit it rejects clients. Find a client that reconnects without closing, or raise "
        "`max_connections`.",
        source="Coroot pages for a database at 90 % of its connections; the warning comes a tenth earlier.",
    ),
    SampleCheck(
        id="KG-202",
        name="slow consumers disconnected",
        applies_to=_SERVER,
        figure=figure.SLOW_CONSUMERS_PER_MIN,
        thresholds=Thresholds(warn=1.0, crit=10.0),
        unit="{slow_consumer}/min",
        text="{entity} disconnects {value} (threshold {threshold}).",
        why="A client that reads too slowly is disconnected, and core NATS messages to it are lost. KG-231 "
        "names clients that come close.",
        source="Ours: each one is a loss, ten a minute are no longer one client's fault.",
    ),
    SampleCheck(
        id="KG-203",
        name="JetStream short of disk",
        applies_to=_SERVER,
        figure=figure.JETSTREAM_STORAGE_RATIO,
        thresholds=Thresholds(warn=0.75, crit=0.9, fatal=1.0),
        unit="1",
        text="JetStream on {entity} uses {value} of its disk limit (threshold {threshold}).",
        why="At the limit every stream on this server rejects messages. Give streams a `max_bytes`, or raise "
        "`max_file_store`.",
        source=_NATS_CLI,
    ),
    SampleCheck(
        id="KG-204",
        name="JetStream short of memory",
        applies_to=_SERVER,
        figure=figure.JETSTREAM_MEMORY_RATIO,
        thresholds=Thresholds(warn=0.75, crit=0.9, fatal=1.0),
        unit="1",
        text="JetStream on {entity} uses {value} of its memory limit (threshold {threshold}).",
        why="At the limit streams in memory reject messages. Move them to disk, or raise `max_memory_store`.",
        source=_NATS_CLI,
    ),
    AgeCheck(
        id="KG-205",
        name="JetStream unavailable",
        applies_to=_SERVER,
        age_s=_without_jetstream_s,
        thresholds=Thresholds(warn=30.0, crit=120.0),
        unit="s",
        text="JetStream of {entity} has not been available for {value} (threshold {threshold}).",
        why="The server takes connections, and its streams do not work: it is recovering them, its store is full or "
        "damaged, or its cluster has no leader. Its log says which.",
        source="`/healthz` of the server. Half a minute: a restart recovers its streams first.",
    ),
    SampleCheck(
        id="KG-206",
        name="TLS certificate ends soon",
        applies_to=_SERVER,
        figure=figure.CERTIFICATE_REMAINING_S,
        thresholds=Thresholds(warn=14.0 * _DAY_S, crit=3.0 * _DAY_S, fatal=0.0),
        unit="s",
        worse="lower",
        text="{entity} shows a TLS certificate that is valid for another {value} (threshold {threshold}).",
        why="Connections that are open stay; those made after its end are refused: of clients, edges and other "
        "servers. Renew it, and have the server read it: `nats-server --signal reload`.",
        source="Ours. Certificates of 90 days are renewed with 30 left and those of 45 with 15, so with 14 it was "
        "forgotten, or not read. For shorter ones set your own.",
    ),
    SampleCheck(
        id="KG-211",
        name="stream near its size limit",
        applies_to=_STREAM,
        when=_refuses_when_full,
        figure=figure.BYTES_FILL_RATIO,
        thresholds=Thresholds(warn=0.8, crit=0.95, fatal=1.0),
        unit="1",
        text="{entity} holds {value} of its `max_bytes` (threshold {threshold}).",
        why="When full it rejects new messages, since it has `discard: new`. Find the consumer that lags, or "
        "raise `max_bytes`.",
        source="Ours: a work queue drains and fills, so the thresholds are higher than those for the whole disk.",
    ),
    SampleCheck(
        id="KG-212",
        name="stream near its message limit",
        applies_to=_STREAM,
        when=_refuses_when_full,
        figure=figure.MESSAGES_FILL_RATIO,
        thresholds=Thresholds(warn=0.8, crit=0.95, fatal=1.0),
        unit="1",
        text="{entity} holds {value} of its `max_msgs` (threshold {threshold}).",
        why="When full it rejects new messages, since it has `discard: new`. Find the consumer that lags, or "
        "raise `max_msgs`.",
        source="As KG-211.",
    ),
    SampleCheck(
        id="KG-221",
        name="consumer lags",
        applies_to=_CONSUMER,
        figure=figure.PENDING_MESSAGES,
        thresholds=Thresholds(warn=10_000.0, crit=100_000.0),
        unit="{message}",
        text="{entity} has {value} pending (threshold {threshold}).",
        why="Messages arrive faster than they are consumed. Add consumers, or check whether one of them hangs.",
        source="Ours, and generous: how many are many depends on the stream. Set your own where lag matters.",
    ),
    SampleCheck(
        id="KG-222",
        name="consumer waits for acknowledgements",
        applies_to=_CONSUMER,
        figure=figure.ACK_PENDING_RATIO,
        thresholds=Thresholds(warn=0.8, crit=1.0),
        unit="1",
        text="{entity} has {value} of its `max_ack_pending` unacknowledged (threshold {threshold}).",
        why="At `max_ack_pending` the server delivers nothing more until messages are acknowledged. Clients "
        "hang, or do not acknowledge.",
        source="NATS stops delivery at 1; four fifths are the warning. Never fatal: one ack sets it going again.",
    ),
    SampleCheck(
        id="KG-223",
        name="messages redelivered",
        applies_to=_CONSUMER,
        figure=figure.REDELIVERED,
        thresholds=Thresholds(warn=100.0, crit=1_000.0),
        unit="{message}",
        text="{entity} has {value} redelivered and not acknowledged (threshold {threshold}).",
        why="Clients fail on them or take longer than `ack_wait`. One message that always fails is a poison message.",
        source="Ours: `max_ack_pending` is 1,000 by default, so then nothing else gets through.",
    ),
    SampleCheck(
        id="KG-231",
        name="client reads too slowly",
        applies_to=_CLIENT,
        figure=figure.PENDING_BYTES,
        thresholds=Thresholds(warn=8.0 * 1024**2, crit=32.0 * 1024**2, fatal=64.0 * 1024**2),
        unit="By",
        text="{entity} has {value} unread in the server's buffer (threshold {threshold}).",
        why="When the buffer is full the server disconnects the client. It does too much work in its message "
        "callback, or its network is slow.",
        source="nats-server's MAX_PENDING_SIZE, 64 MiB by default, is where it disconnects; a half and an "
        "eighth of it.",
    ),
)
