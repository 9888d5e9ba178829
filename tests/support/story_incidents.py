"""A story → its incidents: what its services publish goes on to the grouping of alert-notifier. See `story`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from kgents_shared.contract.incident import Incident
from kgents_shared.contract.silence import Matcher, Silence
from support.decisions import make_silence
from support.grouping import Grouped
from support.story import Story, seconds
from support.story_world import CLUSTER, START


def incidents(story: Story, *silences: Silence, until: str, **more: Any) -> list[Incident]:
    """The incidents of a story, resolved or not, as they are in the end; the first to open first.

    Args:
        story: what happens.
        silences: what people silenced before it.
        until: when it ends.
        more: as `Grouped` takes it: routes, maintenance, windows.
    """
    grouped = Grouped(cluster=CLUSTER, **more)
    grouped.now = START
    grouped.feed(*silences)
    for at_s, message in story.run(until).seen:
        _go_on(grouped, at_s)
        grouped.feed(message)
    _go_on(grouped, seconds(until))
    return sorted(grouped.rows.values(), key=lambda each: each.opened_at)


def _go_on(grouped: Grouped, until_s: float) -> None:
    grouped.after((START + timedelta(seconds=until_s) - grouped.now).total_seconds())


def planned(since: str, until: str, *, id_: str = "planned", **matchers: str) -> Silence:
    """A maintenance that someone announced."""
    times = {
        "starts_at": START + timedelta(seconds=seconds(since)),
        "ends_at": START + timedelta(seconds=seconds(until)),
    }
    found = [Matcher(field=field, value=value) for field, value in matchers.items()]
    return make_silence(id_, cluster=CLUSTER, purpose="maintenance", matchers=found, **times)


def causes(found: Sequence[Incident]) -> list[str]:
    """The causes of all."""
    return [f"{each.root.ref} {each.root.check}" for each in found]


def unsilenced(found: Sequence[Incident]) -> list[str]:
    """The causes of those that go on and are not silenced."""
    return causes([each for each in found if each.state != "resolved" and not each.silenced_by])
