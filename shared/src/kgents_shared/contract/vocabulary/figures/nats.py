"""What collector-nats measures: servers, streams, consumers, subjects, clients."""

from typing import Final

from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM, Field

_FIELD: Final = Field("nats")

_server = _FIELD.section(CUSTOM, kinds.NATS_SERVER).figure
CONNECTIONS_RATIO: Final = _server("connections_ratio", "1", "Client connections as a share of `max_connections`.")
MAX_CONNECTIONS: Final = _server("max_connections", "{connection}", "Client connections that the server allows.")
SLOW_CONSUMERS: Final = _server("slow_consumers", "{client}", "Clients disconnected as slow consumers since its start.")
SLOW_CONSUMERS_PER_MIN: Final = _server(
    "slow_consumers_per_min", "{client}/min", "Clients disconnected as slow consumers a minute, since the last pulse."
)
JETSTREAM_MEMORY_RATIO: Final = _server(
    "jetstream_memory_ratio", "1", "JetStream's memory storage as a share of `max_memory_store`."
)
JETSTREAM_STORAGE_RATIO: Final = _server(
    "jetstream_storage_ratio", "1", "JetStream's file storage as a share of `max_file_store`."
)
CERTIFICATE_REMAINING_S: Final = _server(
    "certificate_remaining_s", "s", "Until the first of the TLS certificates that it shows ends; 0: it has ended."
)

_connected = _FIELD.section(CUSTOM, kinds.NATS_SERVER, kinds.NATS_CLIENT).figure
CONNECTIONS: Final = _connected("connections", "{connection}", "Client connections that are open.")
IN_MSGS_PER_SEC: Final = _connected("in_msgs_per_sec", "{message}/s", "Messages that the server receives.")
OUT_MSGS_PER_SEC: Final = _connected("out_msgs_per_sec", "{message}/s", "Messages that the server sends.")

_subscribed = _FIELD.section(CUSTOM, kinds.NATS_SERVER, kinds.NATS_CLIENT, kinds.NATS_SUBJECT).figure
SUBSCRIPTIONS: Final = _subscribed("subscriptions", "{subscription}", "Subscriptions that are open.")

_stream = _FIELD.section(CUSTOM, kinds.NATS_STREAM).figure
MESSAGES: Final = _stream("messages", "{message}", "Messages that the stream holds.")
BYTES: Final = _stream("bytes", "By", "Bytes that the stream holds.")
MESSAGES_PER_SEC: Final = _stream("messages_per_sec", "{message}/s", "Messages stored, since the last pulse.")
BYTES_FILL_RATIO: Final = _stream("bytes_fill_ratio", "1", "Bytes held as a share of `max_bytes`.")
MESSAGES_FILL_RATIO: Final = _stream("messages_fill_ratio", "1", "Messages held as a share of `max_msgs`.")

_consumers = _FIELD.section(CUSTOM, kinds.NATS_STREAM, kinds.NATS_CONSUMER).figure
CONSUMERS: Final = _consumers(
    "consumers", "{consumer}", "Consumers of a stream, or ephemeral consumers shown as one entity."
)

_consumer = _FIELD.section(CUSTOM, kinds.NATS_CONSUMER).figure
PENDING_MESSAGES: Final = _consumer("pending_messages", "{message}", "Messages not delivered yet.")
ACK_PENDING: Final = _consumer("ack_pending", "{message}", "Messages delivered and not acknowledged yet.")
ACK_PENDING_RATIO: Final = _consumer(
    "ack_pending_ratio", "1", "Unacknowledged messages as a share of `max_ack_pending`."
)
REDELIVERED: Final = _consumer(
    "redelivered", "{message}", "Messages delivered more than once and not acknowledged yet."
)
WAITING_PULLS: Final = _consumer("waiting_pulls", "{request}", "Pull requests that wait for messages.")
DELIVERED_PER_SEC: Final = _consumer("delivered_per_sec", "{message}/s", "Messages delivered, since the last pulse.")

_subject = _FIELD.section(CUSTOM, kinds.NATS_SUBJECT).figure
DELIVERED_MSGS_PER_SEC: Final = _subject(
    "delivered_msgs_per_sec", "{message}/s", "Messages delivered to subscriptions, since the last pulse."
)
PUBLISHED_MSGS_PER_SEC: Final = _subject(
    "published_msgs_per_sec", "{message}/s", "Messages published, as far as `subjects` of collector-nats names it."
)
PUBLISHED_BYTES_PER_SEC: Final = _subject(
    "published_bytes_per_sec", "By/s", "Bytes of these messages, without headers."
)
LISTENED_RATIO: Final = _subject(
    "listened_ratio", "1", "Share of the time in which these messages were counted: below 1 the rates are of a sample."
)

_client = _FIELD.section(CUSTOM, kinds.NATS_CLIENT).figure
PENDING_BYTES: Final = _client("pending_bytes", "By", "Bytes that the server holds and the client has not read.")

FIGURES: Final = tuple(_FIELD.figures)
