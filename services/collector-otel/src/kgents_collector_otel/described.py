"""Requests of logs → the entities that their entity events describe → a part of what is published."""

from collections.abc import Iterable

from kgents_collector_otel.mapping import metric_wire
from kgents_collector_otel.mapping.apps import Apps
from kgents_collector_otel.mapping.entity_event import Entities
from kgents_collector_otel.mapping.facts import SOURCE
from kgents_collector_otel.source.admission import MalformedRequestError, Outcome
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.runtime.clock import Clock, unix_ns


class Described:
    """What entity events say."""

    def __init__(self, cluster: str, apps: Apps, published: Iterable[Entity], clock: Clock) -> None:
        self.entities = Entities(cluster, SOURCE, published, clock.now())
        self._apps = apps
        self._clock = clock

    async def take(self, body: bytes) -> Outcome:
        """Take one request of logs. Records that are no entity events are accepted and not used.

        Raises:
            MalformedRequestError: it cannot be decoded.
        """
        time_slice = TimeSlice()
        now = self._clock.now()
        try:
            for event_name, attributes in metric_wire.parse_logs(body):
                self.entities.take(event_name, attributes, now)
                await time_slice.checkpoint()
        except MalformedMessageError as error:
            raise MalformedRequestError(str(error)) from None
        return Outcome()

    def facts(self) -> Facts:
        """The entities now. An app is published with its traffic, wherever it is known from."""
        now = self._clock.now()
        found = []
        for entity in self.entities.current(now):
            if entity.ref.kind == kinds.APP:
                self._apps.named(entity.ref, unix_ns(now))
            else:
                found.append(entity)
        return Facts(found)
