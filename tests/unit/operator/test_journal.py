"""What the operator has done waits for the audit trail, in its order."""

import asyncio

import pytest

from kgents_cli.commands.permissions import of_login
from kgents_operator import journal
from kgents_operator.desired.owner import Owner
from kgents_operator.journal import Journal
from kgents_shared.contract.audit import AuditRecord
from kgents_shared.contract.errors import ProvisionError
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.runtime.config import CommonConfig
from support.waiting import eventually

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

    written = Journal(record, SystemClock(), "test", "op-1")
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


def test_its_login_may_record_what_it_does_which_people_on_call_may_not() -> None:
    def publishes(login: str) -> set[str]:
        return {each.subject for each in of_login(login, CommonConfig(), ["prod"]).publish}

    own = {"kgents.audit.prod.operate", "kgents.audit.prod.disrupt"}
    assert own <= publishes("kgents-operator")
    assert own.isdisjoint(publishes("operator"))
