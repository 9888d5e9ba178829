"""What the streams take. Pure."""

from typing import Annotated

from msgspec import Meta

from kgents_gateway.questions.arguments import Filters, Severity

After = Annotated[
    str,
    Meta(description="Continue behind the event with this id; it wins over the header.", max_length=200),
]


class EntityStreamArguments(Filters, frozen=True, kw_only=True):
    """Every selected entity, then every change, as server-sent events."""

    after: After = ""
    events: Annotated[
        int,
        Meta(
            ge=0, le=1_000, description="Every new event too, beginning with the last so many: one connection for both."
        ),
    ] = 0
    incidents: Annotated[
        int, Meta(ge=0, le=500, description="Incidents too: the most urgent so many, then every one that changes.")
    ] = 0


class EventStreamArguments(Filters, frozen=True, kw_only=True):
    """Every new event, as server-sent events."""

    after: After = ""
    severities: Annotated[list[Severity], Meta(description="`info`, `warning`, `error`, `critical`.")] = []
    last: Annotated[int, Meta(ge=0, le=1_000, description="Begin with the last so many events.")] = 0
