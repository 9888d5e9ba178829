"""A service that writes no state: it needs no lease, and each of its instances runs, beside all others."""

from typing import Generic, TypeVar

from kgents_shared.contract.section import Section
from kgents_shared.runtime.partition import until_provisioned
from kgents_shared.runtime.service import Context

C = TypeVar("C", bound=Section)


class Reader(Generic[C]):
    """The one run of such a service in this process."""

    def __init__(self, context: Context[C]) -> None:
        self._context = context
        self.contexts = [context]
        """That of its own cluster, under which it reports."""

    async def run(self) -> None:
        """Run the service until cancelled."""
        context = self._context
        await until_provisioned(context)
        context.status.set("syncing")
        await context.service.run(context)
        raise RuntimeError(f"{context.service.name} returned, though a service runs until it is cancelled")
