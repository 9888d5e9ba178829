"""The question how the pipeline itself is: who is alive, how far each is, who holds what, and what is wrong."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from kgents_gateway.questions.arguments import Arguments, Filters, Words
from kgents_gateway.questions.question import Question
from kgents_gateway.questions.world import Now, World
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.meta import DeadLetter
from kgents_shared.contract.subjects import is_hashed, parse, unescape
from kgents_shared.contract.wire import Time
from kgents_shared.runtime.holders import Holding
from kgents_shared.runtime.pipeline import Instance, Reports, Verdict
from kgents_shared.view.selection import Selection

_BADNESS: Final = {False: 0, None: 1, True: 2}
_LEVELS: Final = {False: "critical", None: "warning", True: "healthy"}


class PipelineArguments(Arguments, frozen=True, kw_only=True):
    """Of which clusters."""

    clusters: Annotated[Words, Meta(description="Names of clusters; `*` is any text.")] = []
    limit: Annotated[int, Meta(ge=1, le=10_000, description="At most so many instances, findings, dead letters.")] = (
        1_000
    )


class Letter(msgspec.Struct, frozen=True):
    """One message that a service could not read."""

    cluster: str
    service: str
    at: Time
    text: str
    subject: str
    reason: str
    evidence: str
    """`<stream>:<sequence>` of the message itself."""
    size_bytes: int


class Pipeline(msgspec.Struct, frozen=True):
    """The services that observe and publish, by the age of their heartbeats. Each list begins with the worst."""

    status: str
    """`healthy`; `warning`: something is good to know; `critical`: something is wrong."""
    text: str
    at: Time
    """Of the server: ages are by its clock."""
    alive: int
    """Instances that report; one that works for several clusters counts under each."""
    findings: list[Verdict]
    """What is not as it should be, and the command that leads on."""
    instances: list[Instance]
    holdings: list[Holding]
    """Who holds which cluster, for the services that share them."""
    dead_letters: list[Letter]
    is_cut: bool
    """There is more of something than `limit`."""


async def pipeline(world: World, arguments: PipelineArguments) -> Pipeline:
    """How the pipeline is, by the server's clock."""
    selection, now = Filters(clusters=arguments.clusters).selection(), await world.streams.meta()
    whole = msgspec.structs.replace(
        Reports.read(now.messages, now.time_ns), unattested=now.unattested, clusters=_clusters(world.current)
    )
    reports = whole.within(selection.takes_cluster) if selection.clusters else whole
    instances = sorted(reports.instances(), key=lambda each: _BADNESS[each.is_ok])
    found = [each for each in reports.verdicts() if each.is_ok is not True]
    findings = sorted(found, key=lambda each: _BADNESS[each.is_ok])
    letters = _letters(now.messages, reports)
    limit = arguments.limit
    return Pipeline(
        _LEVELS[findings[0].is_ok if findings else True],
        _text(instances, findings, len(letters)),
        datetime.fromtimestamp(now.time_ns / 1e9, UTC),
        sum(each.is_alive for each in instances),
        findings[:limit],
        instances[:limit],
        [_within(selection, each) for each in whole.holdings()],
        letters[:limit],
        any(len(each) > limit for each in (findings, instances, letters)),
    )


def _clusters(current: Now) -> list[str]:
    """Those that have entities now."""
    tokens = {key.partition(".")[0] for key in current.fold.known_keys()}
    return sorted(unescape(each) for each in tokens if not is_hashed(each))


def _letters(messages: Iterable[Delivery], reports: Reports) -> list[Letter]:
    """The dead letters, the newest first."""
    found: list[Letter] = []
    for each in messages:
        message = reports.meta.get(each.subject)
        if isinstance(message, DeadLetter):
            parsed, at = parse(each.subject), datetime.fromtimestamp(each.time_ns / 1e9, UTC)
            place = (parsed.value("cluster"), parsed.tokens["service"], at, message.text, message.subject)
            found.append(Letter(*place, message.reason, message.evidence, message.size_bytes))
    return sorted(found, key=lambda each: each.at, reverse=True)


def _within(selection: Selection, holding: Holding) -> Holding:
    """Of the selected clusters alone."""

    def taken(clusters: Iterable[str]) -> list[str]:
        return [each for each in clusters if selection.takes_cluster(each)]

    held = {instance: taken(clusters) for instance, clusters in holding.held.items()}
    return Holding(holding.service, held, taken(holding.free), taken(holding.barred))


def _text(instances: Sequence[Instance], findings: Sequence[Verdict], letters: int) -> str:
    alive = {(each.service, each.instance) for each in instances if each.is_alive}
    report = f"{_counted(len({service for service, _ in alive}), 'service')} on {_counted(len(alive), 'instance')}"
    if not findings and letters:
        return f"{report} report and work; {_counted(letters, 'message')} could not be read: see the dead letters"
    if not findings:
        return f"{report} report, and all is well"
    return f"{report} report; {_counted(len(findings), 'finding')}: {findings[0].text}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


QUESTIONS: Final = (
    Question(
        "pipeline",
        "How the pipeline itself is: who is alive, how far, at what cost",
        PipelineArguments,
        Pipeline,
        pipeline,
    ),
)
