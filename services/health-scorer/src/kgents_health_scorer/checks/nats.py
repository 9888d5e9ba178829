"""KG-2xx, NATS: what collector-nats measures → room left, lag, slow readers. Part of the catalogue."""

from collections.abc import Callable
from typing import Final

from kgents_health_scorer.checks.check import Check, SampleCheck, Thresholds
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import nats as attribute
from kgents_shared.contract.vocabulary.figures import nats as figure
from kgents_shared.contract.vocabulary.figures.figure import FigureName

_SERVER: Final = frozenset({kinds.NATS_SERVER})
_STREAM: Final = frozenset({kinds.NATS_STREAM})
_CONSUMER: Final = frozenset({kinds.NATS_CONSUMER})
_CLIENT: Final = frozenset({kinds.NATS_CLIENT})

_NATS_CLI: Final = "`nats server check jetstream` warns at 75 % and is critical at 90 % by default."


def _figure(name: FigureName) -> Callable[[Pulse], float | None]:
    return lambda pulse: pulse.custom.get(name)


def _refuses_when_full(stream: TopologyEntity) -> bool:
    """Whether the stream has `discard: new`; with `old` a full stream merely forgets its oldest, as it was told to."""
    return stream.attributes.get(attribute.DISCARD) == "new"


CHECKS: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-201",
        name="server near its connection limit",
        applies_to=_SERVER,
        value=_figure(figure.CONNECTIONS_RATIO),
        thresholds=Thresholds(warn=0.8, crit=0.9, fatal=1.0),
        unit="1",
        text="{thing} has {value} of the connections it allows (threshold {threshold}).",
        why="At the limit it turns clients away. Look for a client that reconnects without closing, or raise "
        "`max_connections`.",
        source="Coroot pages for a database at 90 % of its connections; the warning comes a tenth earlier.",
    ),
    SampleCheck(
        id="KG-202",
        name="slow consumers thrown out",
        applies_to=_SERVER,
        value=_figure(figure.SLOW_CONSUMERS_PER_MIN),
        thresholds=Thresholds(warn=1.0, crit=10.0),
        unit="{client}/min",
        text="{thing} throws out {value} slow clients a minute (threshold {threshold}).",
        why="A client that reads too slowly is cut off, and core NATS messages to it are lost. KG-231 names clients "
        "on the way there.",
        source="Ours: each one is a loss, ten a minute are no longer one client's fault.",
    ),
    SampleCheck(
        id="KG-203",
        name="JetStream short of disk",
        applies_to=_SERVER,
        value=_figure(figure.JETSTREAM_STORAGE_RATIO),
        thresholds=Thresholds(warn=0.75, crit=0.9, fatal=1.0),
        unit="1",
        text="JetStream on {thing} uses {value} of its disk allowance (threshold {threshold}).",
        why="At the limit every stream on this server refuses messages. Give streams a `max_bytes`, or raise "
        "`max_file_store`.",
        source=_NATS_CLI,
    ),
    SampleCheck(
        id="KG-204",
        name="JetStream short of memory",
        applies_to=_SERVER,
        value=_figure(figure.JETSTREAM_MEMORY_RATIO),
        thresholds=Thresholds(warn=0.75, crit=0.9, fatal=1.0),
        unit="1",
        text="JetStream on {thing} uses {value} of its memory allowance (threshold {threshold}).",
        why="At the limit streams in memory refuse messages. Move them to disk, or raise `max_memory_store`.",
        source=_NATS_CLI,
    ),
    SampleCheck(
        id="KG-211",
        name="stream near its size limit",
        applies_to=_STREAM,
        when=_refuses_when_full,
        value=_figure(figure.BYTES_FILL_RATIO),
        thresholds=Thresholds(warn=0.8, crit=0.95, fatal=1.0),
        unit="1",
        text="{thing} holds {value} of the bytes it may hold (threshold {threshold}).",
        why="When full it refuses what publishers send, since it has `discard: new`. Find the consumer that lags, or "
        "raise `max_bytes`.",
        source="Ours: a work queue drains and fills, so the thresholds are higher than those for the whole disk.",
    ),
    SampleCheck(
        id="KG-212",
        name="stream near its message limit",
        applies_to=_STREAM,
        when=_refuses_when_full,
        value=_figure(figure.MESSAGES_FILL_RATIO),
        thresholds=Thresholds(warn=0.8, crit=0.95, fatal=1.0),
        unit="1",
        text="{thing} holds {value} of the messages it may hold (threshold {threshold}).",
        why="When full it refuses what publishers send, since it has `discard: new`. Find the consumer that lags, or "
        "raise `max_msgs`.",
        source="As KG-211.",
    ),
    SampleCheck(
        id="KG-221",
        name="consumer lags",
        applies_to=_CONSUMER,
        value=_figure(figure.PENDING_MESSAGES),
        thresholds=Thresholds(warn=10_000.0, crit=100_000.0),
        unit="{message}",
        text="{thing} has {value} messages still to be delivered (threshold {threshold}).",
        why="Messages come faster than they are taken. Add readers, or see whether one of them hangs.",
        source="Ours, and generous: what is much depends on the stream. Set your own where lag matters.",
    ),
    SampleCheck(
        id="KG-222",
        name="consumer waits for acks",
        applies_to=_CONSUMER,
        value=_figure(figure.ACK_PENDING_RATIO),
        thresholds=Thresholds(warn=0.8, crit=1.0),
        unit="1",
        text="{thing} has {value} of the unacknowledged messages it allows (threshold {threshold}).",
        why="At `max_ack_pending` the server delivers nothing more until acks come. Readers hang, or forget to ack.",
        source="NATS stops delivery at 1; four fifths are the warning. Never fatal: one ack sets it going again.",
    ),
    SampleCheck(
        id="KG-223",
        name="messages delivered again",
        applies_to=_CONSUMER,
        value=_figure(figure.REDELIVERED),
        thresholds=Thresholds(warn=100.0, crit=1_000.0),
        unit="{message}",
        text="{thing} has {value} messages delivered more than once and still not done (threshold {threshold}).",
        why="Readers fail on them or take longer than `ack_wait`. One message that always fails is a poison message.",
        source="Ours: `max_ack_pending` is 1,000 by default, so then nothing else gets through.",
    ),
    SampleCheck(
        id="KG-231",
        name="client reads too slowly",
        applies_to=_CLIENT,
        value=_figure(figure.PENDING_BYTES),
        thresholds=Thresholds(warn=8.0 * 1024**2, crit=32.0 * 1024**2, fatal=64.0 * 1024**2),
        unit="By",
        text="The server holds {value} that {thing} has not read (threshold {threshold}).",
        why="When the buffer is full the server cuts the client off. It does too much work in its message callback, "
        "or its network is slow.",
        source="nats-server's MAX_PENDING_SIZE, 64 MiB by default, is where it cuts off; a half and an eighth of it.",
    ),
)
