"""What a shell may complete: kinds at once, names from NATS if it answers quickly, else nothing."""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from kgents_shared.contract.entity import Ref

DEADLINE_S: Final = 1.0
"""A person waits for a completion; none is better than a late one."""


def complete_kinds(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Kinds, also the last one of a list such as `pod,dep`."""
    before, comma, word = incomplete.rpartition(",")
    from kgents_cli.kinds import ALL  # noqa: PLC0415
    from kgents_shared.contract.vocabulary.kinds import KINDS  # noqa: PLC0415

    known = [*KINDS, *(each.plural for each in KINDS.values()), *([] if comma else [ALL])]
    return [CompletionItem(f"{before}{comma}{kind}") for kind in sorted(known) if kind.startswith(word)]


def complete_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the entities of the kind that was given."""
    kinds = context.params.get("kinds") or context.params.get("kind") or ""
    if not isinstance(kinds, str):
        kinds = ",".join(kinds)
    return [CompletionItem(name) for name in _names(context, kinds) if name.startswith(incomplete)]


def complete_paths(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names with their kind: `pod/shop/cart-7f`."""
    return [CompletionItem(path) for path in _names(context, "", with_kind=True) if path.startswith(incomplete)]


def _names(context: click.Context, kinds: str, *, with_kind: bool = False) -> list[str]:
    # Imported here: completing a command or a kind needs no NATS.
    from kgents_cli.kinds import kinds_of  # noqa: PLC0415
    from kgents_shared.contract.errors import KgentsError  # noqa: PLC0415
    from kgents_shared.view.find import path_of  # noqa: PLC0415

    logging.disable()  # what is printed would land in the middle of the command line
    try:
        refs = asyncio.run(_refs(context, kinds_of(kinds)))
    except (KgentsError, TimeoutError, OSError):
        return []
    return sorted({path_of(ref) if with_kind else ref.name for ref in refs})


async def _refs(context: click.Context, kinds: tuple[str, ...]) -> "list[Ref]":
    from kgents_cli.connection import connected  # noqa: PLC0415
    from kgents_cli.options import target_of  # noqa: PLC0415
    from kgents_shared.view.live import snapshot  # noqa: PLC0415
    from kgents_shared.view.selection import Selection  # noqa: PLC0415

    given = {name: context.params.get(name) for name in ("nats", "creds", "cluster", "config_file")}
    target = target_of(**given)
    selection = Selection(kinds=kinds, clusters=(target.cluster,) if target.cluster is not None else ())
    async with asyncio.timeout(DEADLINE_S), connected(target.load(), log_level="error") as bus:
        fold = await snapshot(bus, selection, signals=("topology",))
    return [view.ref for view in fold.entities()]
