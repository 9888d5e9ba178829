"""What collector-otel states of entities that are known from OpenTelemetry's entity events."""

from typing import Final

from kgents_shared.contract.vocabulary.attributes.attribute import Attributes

_EVENTS: Final = Attributes()
UNTIL_DELETED: Final = _EVENTS.attribute(
    "kgents.until_deleted", "Whether its sender does not repeat it: it is shown until it is deleted, if that arrives."
)

ATTRIBUTES: Final = tuple(_EVENTS.declared)
