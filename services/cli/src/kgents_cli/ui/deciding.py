"""What a person decides about alerts: asked for step by step, confirmed, sent, and shown until the stream has it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from kgents_cli.ui import matched
from kgents_cli.ui.filling import Filling
from kgents_cli.ui.item import Item
from kgents_cli.ui.rows.row import Row
from kgents_cli.ui.source.source import Source
from kgents_shared.contract.decision import SILENCE_MAX_S, written
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.silence import Matcher
from kgents_shared.view.moment import duration_s

CONFIRMED_S: Final = 5.0
POLL_S: Final = 0.1
_YES: Final = frozenset({"y", "yes"})


class Asker(Protocol):
    """Who asks and answers people."""

    def ask(self, label: str, text: str, submit: Callable[[str], None]) -> None:
        """Ask for a line."""

    def say(self, text: str) -> None:
        """Report."""


class Deciding:
    """Acknowledges and silences."""

    def __init__(self, source: Source, filling: Filling, asker: Asker) -> None:
        self._source = source
        self._filling = filling
        self._asker = asker
        self._tasks: set[asyncio.Task[None]] = set()

    def acknowledge(self, row: Item | Row | None) -> None:
        """Say that someone takes care of the selected incident."""
        incident = self._filling.world.incidents.get(row.key) if row is not None else None
        if self._is_refused():
            return
        if incident is None:
            self._asker.say("expected an incident to be selected; see them with :alerts")
        elif incident.state == "resolved":
            self._asker.say(f"incident {incident.id} is resolved")
        else:
            subject = row.key if row is not None else ""
            self._asker.ask(
                f" acknowledge {incident.title[:40]}; note (Enter sends, Esc does not): ",
                "",
                lambda note: self._run(self._acknowledge(subject, incident, note.strip())),
            )

    def silence(self, row: Item | Row | None) -> None:
        """Let the alerts of what is selected notify no one for a time."""
        if self._is_refused():
            return
        found = self._matchers(row)
        if found is None:
            self._asker.say("expected an incident, an alert or an entity to be selected")
            return
        cluster, matchers = found
        what = " ".join(map(written, matchers))
        self._asker.ask(
            f" silence {what}; how long and why: ", "1h ", lambda text: self._confirm(cluster, matchers, text)
        )

    def _matchers(self, row: Item | Row | None) -> tuple[str, list[Matcher]] | None:
        if row is None or row.ref is None:
            return None
        if (incident := self._filling.world.incidents.get(row.key)) is not None:
            return incident.cluster, [Matcher(field="incident", value=incident.id)]
        ref = row.ref
        fields = {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name, "check": row.field("check") or ""}
        return ref.cluster, [Matcher(field=name, value=value) for name, value in fields.items() if value]

    def _confirm(self, cluster: str, matchers: list[Matcher], text: str) -> None:
        duration, _, reason = text.strip().partition(" ")
        try:
            seconds = duration_s(duration)
        except ValueError as error:
            self._asker.say(f"not silenced: {error}; try: 2h database upgrade")
            return
        if not 0 < seconds <= SILENCE_MAX_S or not reason.strip():
            self._asker.say(
                f"not silenced: expected how long and why, found {text.strip()!r}; try: 2h database upgrade"
            )
            return
        count = matched.count(self._filling.world, cluster, matchers)
        alerts = "1 alert matches" if count == 1 else f"{count} alerts match"
        self._asker.ask(
            f" {alerts} now; silence for {duration}? y/N ",
            "",
            lambda answer: self._send(answer, cluster, matchers, seconds, reason.strip()),
        )

    def _send(self, answer: str, cluster: str, matchers: list[Matcher], seconds: float, reason: str) -> None:
        if answer.strip().lower() not in _YES:
            self._asker.say("not silenced")
            return
        self._run(self._silence(cluster, matchers, seconds, reason))

    def _is_refused(self) -> bool:
        why = "this is the past; L leads back to now" if self._filling.then is not None else self._source.read_only
        if why:
            self._asker.say(f"nothing can be decided here: {why}")
        return bool(why)

    async def _acknowledge(self, subject: str, incident: Incident, note: str) -> None:
        deciding, loop = self._filling.deciding, asyncio.get_running_loop()
        deciding[subject] = "sending …"
        try:
            await self._source.acknowledge(incident, note)
            end_s = loop.time() + CONFIRMED_S
            while loop.time() < end_s and not self._is_acknowledged(subject):  # noqa: ASYNC110 - a stream is read
                await asyncio.sleep(POLL_S)
            if not self._is_acknowledged(subject):
                deciding[subject] = "not confirmed"
                self._asker.say("stored, but alert-notifier has not confirmed it; see `kgents doctor`")
                await asyncio.sleep(CONFIRMED_S)
        finally:
            deciding.pop(subject, None)  # who asks twice has two of these

    def _is_acknowledged(self, subject: str) -> bool:
        incident = self._filling.world.incidents.get(subject)
        return incident is None or incident.acknowledged is not None

    async def _silence(self, cluster: str, matchers: list[Matcher], seconds: float, reason: str) -> None:
        id_ = await self._source.silence(cluster, matchers, seconds, reason)
        self._asker.say(f"silenced; end it with `kgents alerts unsilence {id_}`")

    def _run(self, deciding: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._reported(deciding))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reported(self, deciding: Coroutine[Any, Any, None]) -> None:
        try:
            await deciding
        except KgentsError as error:
            self._asker.say(f"not stored: {error}")
