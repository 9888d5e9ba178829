"""What collectors state of NATS and OpenTelemetry has no name for."""

from typing import Final

from kgents_shared.contract.vocabulary.attributes.attribute import Attributes

_OURS: Final = Attributes()
_attribute = _OURS.attribute

ACK_POLICY: Final = _attribute("kgents.nats.ack_policy", "`explicit`, `all` or `none`.")
CLIENT_LIBRARIES: Final = _attribute("kgents.nats.client_libraries", "Language and version of the clients.")
CLUSTER: Final = _attribute("kgents.nats.cluster", "Name of the cluster of servers.")
DELIVER_POLICY: Final = _attribute("kgents.nats.deliver_policy", "Where delivery began.")
DISCARD: Final = _attribute(
    "kgents.nats.discard", "What a full stream does: `old` discards its oldest message, `new` rejects new ones."
)
EPHEMERAL: Final = _attribute("kgents.nats.ephemeral", "Whether this stands for the ephemeral consumers of a stream.")
FILTER_SUBJECTS: Final = _attribute("kgents.nats.filter_subjects", "Subjects that the consumer takes.")
GIT_COMMIT: Final = _attribute("kgents.nats.git_commit", "Commit of the server.")
GO_VERSION: Final = _attribute("kgents.nats.go_version", "Go version of the server.")
HEARD: Final = _attribute(
    "kgents.nats.heard", "Whether messages of the subject are counted by listening; a `*` in it stands for many values."
)
JETSTREAM: Final = _attribute("kgents.nats.jetstream", "Whether JetStream is on.")
MAX_ACK_PENDING: Final = _attribute("kgents.nats.max_ack_pending", "Unacknowledged messages that it allows.")
MAX_AGE_S: Final = _attribute("kgents.nats.max_age_s", "After how many seconds messages expire.")
MAX_BYTES: Final = _attribute("kgents.nats.max_bytes", "Bytes that the stream may hold.")
MAX_CONNECTIONS: Final = _attribute("kgents.nats.max_connections", "Client connections that the server allows.")
MAX_MSGS: Final = _attribute("kgents.nats.max_msgs", "Messages that the stream may hold.")
MAX_MSGS_PER_SUBJECT: Final = _attribute(
    "kgents.nats.max_msgs_per_subject", "Messages of one subject that the stream may hold."
)
MAX_PAYLOAD_BYTES: Final = _attribute("kgents.nats.max_payload_bytes", "The largest message that the server takes.")
MIRROR: Final = _attribute("kgents.nats.mirror", "Stream of which this is a mirror.")
QUEUE_GROUPS: Final = _attribute("kgents.nats.queue_groups", "Of a connection: queue groups of the subscriptions.")
REPLICAS: Final = _attribute("kgents.nats.replicas", "Copies of the stream.")
RETENTION: Final = _attribute("kgents.nats.retention", "`limits`, `interest` or `workqueue`.")
SOURCES: Final = _attribute("kgents.nats.sources", "Streams from which this one is sourced.")
STORAGE: Final = _attribute("kgents.nats.storage", "`file` or `memory`.")
SUBJECTS: Final = _attribute("kgents.nats.subjects", "Subjects that the stream captures.")
WILDCARD: Final = _attribute("kgents.nats.wildcard", "Whether the subject is a pattern.")

ATTRIBUTES: Final = tuple(_OURS.declared)
