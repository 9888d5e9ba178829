"""The notices of one cluster: what each receiver knows, read from the stream and replaced by compare-and-set.

Its rows are those of a state table, so a lost ack, an outage and a second writer are handled as everywhere: the run
ends with the second writer, and the next one begins with what the stream holds.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from operator import itemgetter

from msgspec.structs import replace

from kgents_alert_notifier.delivery.decide import DEADLINE_S
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.wire import REMOVE
from kgents_shared.runtime.clock import Clock


class Ledger:
    """What every receiver knows of every incident."""

    def __init__(self, table: StateTable[Notice], cluster: str, clock: Clock) -> None:
        self._table = table
        self._cluster = cluster
        self._clock = clock
        self.found_s = clock.monotonic_s()
        """When this process first saw what another one wrote. Everything later is its own."""

    def found(self) -> None:
        """Note that what the table holds has just been loaded."""
        self.found_s = self._clock.monotonic_s()

    def notice(self, receiver: str, incident: str) -> Notice:
        """As the stream holds it; a new one if it holds none."""
        row = self._table.rows.get(self._subject(receiver, incident))
        return row.message if row else Notice(text="", cluster=self._cluster, receiver=receiver, incident=incident)

    def paused(self, receiver: str) -> Notice | None:
        """The notice with the longest pause that a receiver has asked for and that is not over; None: there is none."""
        now = self._clock.now()
        asked = [
            (each.paused_until, each)
            for each in self.notices()
            if each.receiver == receiver and each.paused_until is not None and each.paused_until > now
        ]
        return max(asked, key=itemgetter(0))[1] if asked else None

    def notices(self) -> Iterable[Notice]:
        """All of them."""
        return [row.message for row in self._table.rows.values()]

    async def store(self, notice: Notice, *, retry_s: float | None = None, asked_s: float | None = None) -> None:
        """Return once the stream holds it.

        Args:
            notice: what the receiver knows, and what is being sent.
            retry_s: when it is tried again; None: nothing failed.
            asked_s: the pause that the receiver asks for; None: none.
        """
        subject = self._subject(notice.receiver, notice.incident)
        before = self.notice(notice.receiver, notice.incident)
        self._table.put(subject, completed(before, notice, self._clock.now(), retry_s, asked_s))
        await self._table.published(subject)

    def forget(self, notice: Notice) -> None:
        """Remove it, with its incident."""
        gone = replace(notice, op=REMOVE, text=f"{notice.receiver} needs to know no more of {notice.incident}")
        self._table.remove(self._subject(notice.receiver, notice.incident), gone)

    def _subject(self, receiver: str, incident: str) -> str:
        return subjects.build("notice", cluster=self._cluster, receiver=receiver, incident=incident)


def completed(before: Notice, notice: Notice, now: datetime, retry_s: float | None, asked_s: float | None) -> Notice:
    """The notice with its times and its sentence."""
    is_confirmed = notice.delivered and (notice.delivered, notice.repeated) != (before.delivered, before.repeated)
    return replace(
        notice,
        text=sentence(notice),
        delivered_at=now if is_confirmed else notice.delivered_at,
        opened_at=notice.opened_at or now,
        sending_until=now + timedelta(seconds=DEADLINE_S) if notice.sending else None,
        retry_at=_in(now, retry_s),
        paused_until=_in(now, asked_s),
    )


def _in(now: datetime, seconds: float | None) -> datetime | None:
    return now + timedelta(seconds=seconds) if seconds is not None else None


def sentence(notice: Notice) -> str:
    """For people: `ops knows revision 2 (open) of incident 5c0f…, revision 3 is being sent`."""
    what = f"digest {notice.incident}" if notice.entries else f"incident {notice.incident}"
    known = f"knows revision {notice.delivered} ({notice.delivered_state})" if notice.delivered else "knows nothing"
    more = []
    if notice.sending:
        more.append(f"revision {notice.sending} is being sent")
    if notice.unconfirmed:
        more.append(f"revision {notice.unconfirmed} may have arrived")
    if notice.failure:
        more.append(f"the last request failed: {notice.failure}")
    return ", ".join([f"{notice.receiver} {known} of {what}", *more])
