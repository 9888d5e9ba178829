"""What rows are made of: the world, and what was asked for while a screen is shown. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from kgents_cli.ui.world import World
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import Pulse
from kgents_shared.runtime.pipeline import Instance, Verdict
from kgents_shared.view.entity import EntityView


class Pipeline(msgspec.Struct, frozen=True):
    """The services that observe and publish."""

    instances: Sequence[Instance] = ()
    findings: Sequence[Verdict] = ()
    """What is not as it should be."""


class Known(msgspec.Struct):
    """What is known at one moment."""

    world: World
    now: datetime
    views: Sequence[EntityView] = ()
    """The entities of the kinds that the screen is about."""
    pulses: Mapping[Ref, Pulse] = {}
    """Their last ones."""
    pipeline: Pipeline = Pipeline()
    opened: frozenset[str] = frozenset()
    """Keys of the nodes of a tree that were opened, or closed where they are open at first."""
    deciding: Mapping[str, str] = {}
    """Incident → what was sent and is not confirmed yet."""
