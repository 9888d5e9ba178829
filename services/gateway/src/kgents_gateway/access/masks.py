"""What is read from NATS → the same with secrets masked, so that none ever leaves the gateway. Pure."""

from typing import TypeVar

import msgspec

from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.codec import PULSE, Codec, encode
from kgents_shared.contract.masking import masked_message
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.wire import Wire
from kgents_shared.view.entity import EntityView, Rows

T = TypeVar("T", bound=Wire)


def delivery(each: Delivery) -> Delivery:
    """A message."""
    payload = masked_message(each.payload)
    return each if payload is each.payload else msgspec.structs.replace(each, payload=payload)


def view(each: EntityView) -> EntityView:
    """An entity."""
    rows = each.rows
    topology, health = (masked_message(row) if row is not None else None for row in (rows.topology, rows.health))
    alerts = {check: masked_message(alert) for check, alert in rows.alerts.items()} if rows.alerts else None
    return EntityView(each.key, Rows(topology, health, alerts))


def message(each: T, codec: Codec[T]) -> T:
    """What the services say of alerts, and what people decide."""
    payload = encode(each)
    found = masked_message(payload)
    return each if found is payload else codec.decode(found)


def pulse(each: Pulse) -> Pulse:
    """A pulse."""
    payload = encode(each)
    found = masked_message(payload)
    return each if found is payload else PULSE.decode(found, subject=each.ref.subject("pulse", source=each.source))
