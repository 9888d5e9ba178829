"""What a real collector published → a story: alerts and incidents follow from it in virtual time."""

from collections.abc import Iterable
from functools import partial

from kgents_shared.contract.codec import ENTITY
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.facts import Facts
from support.story import Story
from support.story_world import CLUSTER, World

BETWEEN_S = 5.0
"""From one to the next: what is planned may take its time."""


def of_messages(published: Iterable[bytes], cluster: str) -> Story:
    """Messages about entities, one after the other, as if they were of the cluster of stories."""
    story = Story()
    for number, payload in enumerate(published):
        of_story = payload.replace(f'"cluster":"{cluster}"'.encode(), f'"cluster":"{CLUSTER}"'.encode())
        story.at(number * BETWEEN_S, partial(_publish, ENTITY.decode(of_story)))
    return story


def of_polls(polls: Iterable[Facts], source: str) -> Story:
    """What was observed of the cluster of stories, poll after poll."""
    story = Story()
    for number, facts in enumerate(polls):
        story.at(number * BETWEEN_S, partial(_report, source, facts))
    return story


def _publish(entity: Entity, world: World) -> None:
    world.unread.setdefault(entity.source, [])
    if entity.is_removal:
        world.remove(entity.source, entity.ref)
    else:
        world.put(entity)


def _report(source: str, facts: Facts, world: World) -> None:
    world.unread.setdefault(source, [])
    world.report(source, "", Facts(facts.entities))
