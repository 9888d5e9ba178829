"""Copies of the data at set times, as a person asks for them. Pure."""

from typing import Annotated, ClassVar

from msgspec import Meta

from kgents_operator.resources.cron import CRON
from kgents_operator.resources.part import Label, Part, Rule


class Destination(Part, frozen=True):
    """Where copies are written: a volume that survives the loss of the server's."""

    claim_name: Annotated[Label, Meta(description="A PersistentVolumeClaim of the namespace, of another storage.")]


class Backup(Part, frozen=True):
    """Copies of the data by a CronJob."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.enabled) || !self.enabled || (has(self.schedule) && has(self.destination))",
            "an enabled backup needs a schedule and a destination: a copy beside the data is no backup",
        ),
    )

    enabled: bool = False
    schedule: (
        Annotated[str, Meta(max_length=100, pattern=CRON, description="As of cron, in UTC: `30 2 * * *`.")] | None
    ) = None
    destination: Destination | None = None
    keep: Annotated[int, Meta(ge=1, le=1000, description="So many copies are kept.")] = 7
