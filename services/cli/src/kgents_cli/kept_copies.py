"""The copies of streams that are kept for the archive → whether they are as they should be.

A copy that is missing, or of a former life of its stream, shows only after an outage, as a gap; so it is said before.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from kgents_shared.bus.jetstream import StreamInfo
from kgents_shared.bus.provision import Create, Refuse, Step, Unchanged, Update
from kgents_shared.contract.streams import Copy
from kgents_shared.runtime.pipeline import Verdict
from kgents_shared.view.moment import span

PROVISION: Final = "kgents provision"
_FULL: Final = 0.95
"""Of its cap: JetStream drops the oldest messages in blocks, so a copy that drops is not always at the cap itself."""


def copy_verdicts(
    copies: Sequence[Copy], steps: Sequence[Step], infos: Mapping[str, StreamInfo | None]
) -> Iterator[Verdict]:
    """A line for each copy that is missing, foreign, of other limits or full; one for all of them if there is none.

    Args:
        copies: those that the configuration asks for; none: there is nothing to say.
        steps: what `kgents provision` would do about them.
        infos: what the server knows of each, by name.
    """
    found = [each for step in steps if (each := _fault(step)) is not None]
    found += [each for copy in copies if (each := _fullness(copy, infos.get(copy.name))) is not None]
    if copies and not found:
        found = [Verdict(True, f"JetStream keeps all {len(copies)} copies for the archive")]
    yield from found


def _fault(step: Step) -> Verdict | None:
    match step:
        case Unchanged():
            return None
        case Create():
            return Verdict(False, f"copy {step.stream} for the archive is missing: an outage will be a gap", PROVISION)
        case Refuse():
            return Verdict(False, f"copy {step.stream} for the archive is not used: {step.reason}")
        case Update():
            changes = ", ".join(map(str, step.changes))
            return Verdict(False, f"copy {step.stream} for the archive differs: {changes}", PROVISION)


def _fullness(copy: Copy, info: StreamInfo | None) -> Verdict | None:
    if info is None or not info.state.messages or info.state.bytes < _FULL * copy.max_bytes:
        return None
    reach_s = (info.ts - info.state.first_ts).total_seconds()
    if reach_s >= copy.max_age_s:
        return None
    kept = f"it reaches back {span(reach_s)}, expected {span(copy.max_age_s)}"
    advice = "raise `streams.archive_copy_max_bytes`, or lower `streams.archive_copy_max_age_s`"
    return Verdict(None, f"copy {copy.name} for the archive is full: {kept}; {advice}", PROVISION)
