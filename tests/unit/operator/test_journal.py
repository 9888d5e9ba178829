"""What the operator has done waits for the audit trail, in its order."""

import asyncio

import msgspec
import pytest

from kgents_cli.commands.permissions import of_login
from kgents_operator import journal
from kgents_operator.desired.owner import Owner
from kgents_operator.journal import Journal, Trail
from kgents_shared.contract.audit import AuditRecord
from kgents_shared.contract.errors import ProvisionError
from kgents_shared.kubernetes.error import ApiError
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.runtime.config import CommonConfig
from support.running import running
from support.waiting import eventually


class Memory:
    """A drawer that outlives its journals."""

    def __init__(self) -> None:
        self.kept: list[AuditRecord] = []
        self.is_away = False

    async def records(self) -> list[AuditRecord]:
        if self.is_away:
            raise ApiError(503, "away")
        return self.kept

    async def keep(self, records: list[AuditRecord]) -> None:
        self.kept = records


OWNER = Owner("orders", "shop", "u-1", "kgents.io/v1alpha1", "PostgresCluster")


async def test_records_wait_for_the_trail_in_their_order_and_the_oldest_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal, "AGAIN_S", 0.01)
    monkeypatch.setattr(journal, "KEPT", 2)
    is_away, refused, stored = True, 0, list[AuditRecord]()

    async def record(one: AuditRecord) -> None:
        nonlocal refused
        if is_away:
            refused += 1
            raise ProvisionError("no trail")
        stored.append(one)

    written = Journal(Trail(record, "test", "op-1"), Memory(), SystemClock())
    running = asyncio.create_task(written.run())
    try:
        for each in ("first", "second", "third"):
            written.note(OWNER, each)
        await eventually(lambda: refused > 1)
        is_away = False
        await eventually(lambda: len(stored) == 2)
        written.note(OWNER, "third")
        await eventually(lambda: len(stored) == 3)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert [each.text for each in stored] == [
        f"PostgresCluster shop/orders: {each}" for each in ("second", "third", "third")
    ]
    assert stored[1].id == stored[2].id != stored[0].id, "noted again it is the same record"


async def test_what_waits_outlives_its_operator_and_is_stored_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal, "AGAIN_S", 0.01)
    drawer, stored = Memory(), list[str]()

    async def refused(_: AuditRecord) -> None:
        raise ProvisionError("no trail")

    async def record(one: AuditRecord) -> None:
        stored.append(one.text.rpartition(" ")[2])

    first = Journal(Trail(refused, "test", "op-1"), drawer, SystemClock())
    async with running(first.run()):
        first.note(OWNER, "first")
        first.note(OWNER, "second")
        await eventually(lambda: len(drawer.kept) == 2)
    forged = msgspec.structs.replace(drawer.kept[0], action="provision")
    drawer.kept = [forged, *drawer.kept]
    drawer.is_away = True
    second = Journal(Trail(record, "test", "op-2"), drawer, SystemClock())
    async with running(second.run()):
        second.note(OWNER, "third")
        await eventually(lambda: stored == ["third"])
        assert len(drawer.kept) == 3, "what was not read is not overwritten"
        drawer.is_away = False
        second.note(OWNER, "fourth")
        await eventually(lambda: drawer.kept == [])
    assert stored == ["third", "fourth", "first", "second"]


def test_its_login_may_record_what_it_does_which_people_on_call_may_not() -> None:
    def publishes(login: str) -> set[str]:
        return {each.subject for each in of_login(login, CommonConfig(), ["prod"], users=["alice"]).publish}

    own = {"kgents.audit.prod.operate", "kgents.audit.prod.disrupt"}
    assert own <= publishes("kgents-operator")
    assert own.isdisjoint(publishes("operator"))
