"""The settings of grouping: how far apart alerts of one cause may be → `reducer`. Pure."""

from typing import Annotated

import msgspec

from kgents_shared.contract.section import Section

Seconds = Annotated[float, msgspec.Meta(gt=0, le=7 * 86_400)]


class GroupingConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which alerts are one incident: `alert-notifier.grouping`."""

    window_s: Seconds = 300.0
    """How far apart a cause and its effect may begin. A cause that began earlier is the incident's parent instead."""

    hops: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    """How many alerts may lead from an effect to its cause, one explaining the other."""

    quiet_hops: Annotated[int, msgspec.Meta(ge=0, le=3)] = 1
    """How many entities without an alert may lie between the two."""

    calm_s: Seconds = 120.0
    """How long no alert of an incident may fire before it is resolved. It doubles each time that one fires again, up to
    eight times as long."""

    flapping_after: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    """How often an alert must fire again for the incident to be called flapping."""

    keep_days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 31
    """How long a resolved incident stays readable: what `kgents alerts review` is made of."""
