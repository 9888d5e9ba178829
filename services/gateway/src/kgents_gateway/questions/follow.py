"""The question which subject to follow: what comes continuously is not asked for, but subscribed to."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from kgents_gateway.questions.arguments import Arguments, BadArgumentError
from kgents_gateway.questions.question import Question
from kgents_gateway.questions.world import World
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.subjects import FIELDS, ROOT, pattern

Signal = Literal["", "entity", "pulse", "event", "topology", "health", "alert", "meta"]


class FollowArguments(Arguments, frozen=True, kw_only=True):
    """Messages of what; a field that is left out may be anything."""

    signal: Annotated[Signal, Meta(description="Such as `event`; empty: all of them.")] = ""
    cluster: Annotated[str, Meta(max_length=253, description="Of one cluster.")] = ""
    source: Annotated[str, Meta(max_length=253, description="Of one collector, such as `k8s`.")] = ""
    kind: Annotated[str, Meta(max_length=253, description="About entities of one kind, such as `pod`.")] = ""


class Followed(msgspec.Struct, frozen=True):
    """Where the messages are."""

    subject: str
    """Subscribe to this for every new one."""
    stream: str
    """The stream that keeps them; empty: there are several."""


async def follow(_: World, arguments: FollowArguments) -> Followed:
    """The subject of some messages."""
    given = {"cluster": arguments.cluster, "source": arguments.source, "kind": arguments.kind}
    fields = {name: value for name, value in given.items() if value}
    if not arguments.signal:
        if fields:
            raise BadArgumentError(f"expected a signal beside {', '.join(fields)}, found none")
        return Followed(f"{ROOT}.>", "")
    if unknown := fields.keys() - set(FIELDS[arguments.signal]):
        raise BadArgumentError(f"expected no {min(unknown)} with {arguments.signal}, whose subjects have none")
    return Followed(pattern(arguments.signal, **fields), NAME_BY_SIGNAL[arguments.signal])


QUESTIONS: Final = (
    Question("follow", "The subject of messages that come continuously", FollowArguments, Followed, follow),
)
