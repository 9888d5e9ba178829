"""The connections of one entity among many, most of which are not decoded for it."""

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec

from kgents_shared.view.entity import EntityView
from kgents_shared.view.paths import Edge, Graph

SLICE: Final = 2_000
"""Entities that are read without a pause for the screen."""


async def connections_of(view: EntityView, others: Iterable[EntityView]) -> list[Edge]:
    """Both ways: those that it carries, and those that others do."""
    name, graph = msgspec.json.encode(view.ref.name), Graph([view])
    for count, other in enumerate(others):
        if count % SLICE == 0:
            await asyncio.sleep(0)
        if other.key == view.key or name not in (other.rows.topology or b""):
            continue  # not decoded: there may be a hundred thousand
        if other.topology is not None and any(each.peer == view.ref for each in other.topology.connections):
            graph.add(other)
    return graph.edges(view.ref)
