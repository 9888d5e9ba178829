"""The description of the selected entity, kept up to date while it is open."""

import asyncio
from collections.abc import Sequence
from typing import Final

from kgents_cli.ui.describe import lines_of
from kgents_cli.ui.ink import Ink
from kgents_cli.ui.pane import Pane
from kgents_cli.ui.part import Line, Part
from kgents_cli.ui.source.source import Source
from kgents_cli.ui.travelling import Travelling
from kgents_shared.contract.entity import Ref
from kgents_shared.view.entity import key_of_ref

EVERY_S: Final = 5.0
BACK_MAX: Final = 50
"""Entities to which one may go back."""


class Describing:
    """Asks the source again and again, and shows what it answers."""

    def __init__(self, source: Source, travelling: Travelling, pane: Pane, ink: Ink) -> None:
        self.key: str | None = None
        """Of what is described; None: nothing is."""
        self._source = source
        self._travelling = travelling
        self._pane = pane
        self._ink = ink
        self._task: asyncio.Task[None] | None = None
        self._is_asking = False
        self._shown: tuple[str, Ref] | None = None
        self._back: list[tuple[str, Ref]] = []

    @property
    def is_elsewhere(self) -> bool:
        """Whether something else is described than what is selected: a connection was followed."""
        return bool(self._back)

    def begin(self, key: str, ref: Ref) -> None:
        """Describe what is selected, whatever was followed before."""
        self._back.clear()
        self.show(key, ref)

    def follow(self) -> bool:
        """Describe the entity to which the chosen line leads; returns whether one is chosen."""
        to = self._pane.chosen
        if to is not None:
            self.go(to)
        return to is not None

    def go(self, to: Ref) -> None:
        """Describe an entity that the description names."""
        if self._shown is not None:
            self._back = [*self._back[1 - BACK_MAX :], self._shown]
        self.show(key_of_ref(to), to)

    def back(self) -> None:
        """Describe again what was described before a connection was followed."""
        if self._back:
            self.show(*self._back.pop())

    def again(self) -> None:
        """Ask again for what is described."""
        if self._shown is not None:
            self.show(*self._shown)

    def show(self, key: str, ref: Ref) -> None:
        """Describe this entity, or ask again if it is described already."""
        is_same = self.key == key
        if self._task is not None:
            if is_same and self._is_asking:
                return
            self._task.cancel()
        self.key, self._shown = key, (key, ref)
        self._task = asyncio.create_task(self._describe(key, ref, is_same=is_same))

    def close(self) -> None:
        """Describe nothing any more."""
        self.key = self._shown = None
        self._back.clear()
        if self._task is not None:
            self._task.cancel()

    async def _describe(self, key: str, ref: Ref, *, is_same: bool) -> None:
        if not is_same:
            self._pane.show([(Part(str(ref), "title"),), (Part("reading …", "dim"),)])
        while True:
            self._is_asking = True
            found = await self._travelling.describe(key, ref)
            self._is_asking = False
            why = "is gone" if self._travelling.then is None else "is not remembered as it was at that time"
            lines: Sequence[Line] = [(Part(f"{ref} {why}", "warning"),)]
            if found is not None:
                lines = list(lines_of(found, self._source.now()))
            self._pane.show(lines, is_same=True)
            await asyncio.sleep(EVERY_S)
