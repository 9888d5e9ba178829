"""That alerts notify no one for a time, or do so again."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from kgents_gateway.access.seen_incidents import is_within
from kgents_gateway.decisions.decision import Decision, Desk, Nothing, Outcome
from kgents_gateway.http.routes import SILENCE
from kgents_gateway.problems import ConflictError, OutOfScopeError
from kgents_gateway.questions.arguments import SHOWN, Arguments, BadArgumentError
from kgents_shared.bus.word import last_word
from kgents_shared.contract import decision, subjects
from kgents_shared.contract.codec import SILENCE as CODEC
from kgents_shared.contract.decision import MATCHABLE, SILENCE_MAX_S, is_matchable, silenced
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.contract.masking import masked
from kgents_shared.contract.silence import Matcher, Silence
from kgents_shared.contract.wire import Time

STARTS_EARLY_S: Final = 3_600
"""How long ago a silence may begin: clocks differ, and a request may have waited."""


class OneSilence(Arguments, frozen=True, kw_only=True):
    """Which silence."""

    cluster: Annotated[str, Meta(min_length=1, max_length=253, description="The cluster of which the alerts are.")]
    silence_id: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9][a-z0-9-]{2,63}$",
            description="Your own: the same again changes the same silence.",
            examples=["database-upgrade"],
        ),
    ]


class MatcherBody(Arguments, frozen=True, kw_only=True):
    """One condition; `*` in the value stands for any characters."""

    field: Annotated[
        str,
        Meta(
            max_length=256,
            description="`namespace`, `kind`, `name`, `check`, `severity`, `incident`, or `label.NAME`.",
            extra_json_schema={"pattern": r"^(namespace|kind|name|check|severity|incident|label\..+)$"},
        ),
    ]
    value: Annotated[str, Meta(min_length=1, max_length=1_000)]
    is_negated: bool = False


class SilenceBody(Arguments, frozen=True, kw_only=True):
    """What is silenced, for how long, and why."""

    matchers: Annotated[list[MatcherBody], Meta(min_length=1, max_length=20, description="All of them must fit.")]
    duration_s: Annotated[int, Meta(ge=1, le=SILENCE_MAX_S, description="For how long.")]
    reason: Annotated[str, Meta(min_length=1, max_length=1_000, description="Why; everyone sees it.")]
    starts_at: Annotated[Time | None, Meta(description="When it begins; null: now.")] = None
    purpose: Annotated[
        Literal["silence", "maintenance"], Meta(description="`maintenance`: the disruption is planned.")
    ] = "silence"


class StoredSilence(msgspec.Struct, frozen=True):
    """The silence as it is stored."""

    silence: Silence
    is_new: bool
    """Whether it was stored now; false: it was so already."""


async def silence(desk: Desk, arguments: OneSilence, body: SilenceBody) -> Outcome:
    """Let what matches notify no one for a time; what this silence was before no longer counts."""
    now = desk.world.now()
    message = _made(desk, arguments, body, now)
    if not is_within(message.cluster, message.matchers, desk.world.scope):
        raise OutOfScopeError("expected a matcher namespace=NAME with a namespace of your token, found none")
    session = await desk.bus.session()
    before, seq = await last_word(session, CODEC, message.subject)
    if before is not None and not _is_seen(desk, before):
        raise ConflictError(f"expected an id of your own, found {message.id}, which is used")
    if before is not None and _is_same(before, message, body, now):
        return Outcome(before, is_new=False, before=before)
    return await desk.store(message, before=before, replaces_seq=seq)


async def end(desk: Desk, arguments: OneSilence, _: Nothing) -> Outcome:
    """Let what was silenced notify again."""
    session = await desk.bus.session()
    subject = subjects.build("silence", cluster=arguments.cluster, silence=arguments.silence_id)
    before, seq = await last_word(session, CODEC, subject)
    if before is None or not _is_seen(desk, before):
        raise _unknown(arguments.silence_id)
    if before.is_removal:
        return Outcome(before, is_new=False, before=before)
    message = decision.ended(before, desk.author)
    return await desk.store(message, before=before, replaces_seq=seq)


def _made(desk: Desk, arguments: OneSilence, body: SilenceBody, now: datetime) -> Silence:
    for each in body.matchers:
        if not is_matchable(each.field):
            raise BadArgumentError(
                f"matchers: expected a field out of {', '.join(MATCHABLE)}, found {each.field[:SHOWN]!r}"
            )
    if not _is_known(desk, arguments.cluster):
        raise NotFoundError(f"expected a cluster that is observed, found {arguments.cluster[:SHOWN]!r}")
    begins = body.starts_at or now
    if not now - timedelta(seconds=STARTS_EARLY_S) <= begins <= now + timedelta(seconds=SILENCE_MAX_S):
        raise BadArgumentError("starts_at: expected a time within the next 366 days")
    ends = begins + timedelta(seconds=body.duration_s)
    if ends <= now:
        raise BadArgumentError("duration_s: expected a silence that is not over already")
    return silenced(
        desk.author,
        id_=arguments.silence_id,
        cluster=arguments.cluster,
        matchers=[Matcher(field=each.field, value=each.value, is_negated=each.is_negated) for each in body.matchers],
        starts_at=begins,
        ends_at=ends,
        reason=masked(body.reason),
        purpose=body.purpose,
    )


def _is_known(desk: Desk, cluster: str) -> bool:
    """Whether there are entities of it: a silence of another one, as by a typing error, would be of nothing."""
    begin = f"{subjects.escape(cluster)}."
    return any(key.startswith(begin) for key in desk.world.followed.fold.known_keys())


def _is_seen(desk: Desk, found: Silence) -> bool:
    return is_within(found.cluster, found.matchers, desk.world.scope)


def _is_same(before: Silence, message: Silence, body: SilenceBody, now: datetime) -> bool:
    """Whether it is the same once more, as from a client that had no answer."""

    def content(each: Silence) -> tuple[object, ...]:
        return (each.matchers, each.reason, each.purpose, each.by, each.ends_at - each.starts_at)

    is_in_force = not before.is_removal and before.ends_at > now
    return (
        is_in_force
        and content(before) == content(message)
        and (body.starts_at is None or before.starts_at == body.starts_at)
    )


def _unknown(id_: str) -> NotFoundError:
    return NotFoundError(f"expected the id of a silence, found {id_[:SHOWN]!r}; try: GET /api/v1/silences")


DECISIONS: Final = (
    Decision(
        "silence",
        "Let what matches notify no one for a time",
        "PUT",
        SILENCE,
        OneSilence,
        SilenceBody,
        StoredSilence,
        silence,
    ),
    Decision("unsilence", "End a silence", "DELETE", SILENCE, OneSilence, Nothing, StoredSilence, end),
)
