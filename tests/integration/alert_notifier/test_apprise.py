"""Everything else by Apprise: its yes or no is all that is known."""

import subprocess
import sys

import pytest

from kgents_alert_notifier.delivery.outcome import Delivered, InDoubt, Outcome, Refused
from kgents_alert_notifier.receiver_config import AppriseReceiver
from kgents_shared.bus.config import LateSecret
from support.http_stand_in import Fault, Got, Reply, StandIn
from support.incident_facts import facts, incident

apprise = pytest.importorskip("kgents_alert_notifier.receivers.apprise", reason="needs the extra `apprise`")

# It tries to import a module that Python 3.13 no longer has, and does without.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def ok(_: Got) -> Reply:
    return Reply(200, b"{}")


def receiver(url: str) -> apprise.Apprise:  # type: ignore[name-defined]  # imported if it is there
    return apprise.Apprise(AppriseReceiver(url=LateSecret(url)))


async def test_a_failure_is_a_doubt_with_growing_pauses_and_the_fourth_is_refused() -> None:
    async with StandIn(ok) as server:
        to = receiver(f"json://127.0.0.1:{server.port}/canary-path")

        async def send(key: str) -> Outcome:
            found: Outcome = await to.send(facts(), key, {}, 5.0)
            return found

        assert await send("a") == Delivered()
        server.faults = [Fault("reply", Reply(404)) for _ in range(4)]
        found = [await send("b") for _ in range(4)]
        assert [each.own_retry_s for each in found if isinstance(each, InDoubt)] == [60.0, 300.0, 1_500.0]
        assert isinstance(found[-1], Refused)
        assert "canary" not in repr(found)
        growth = facts(incident(revision=2, affected_count=9), known_revision=1, known_state="open")
        assert await to.send(growth, "c", {}, 5.0) == Delivered(is_requested=False)
        assert len(server.got) == 5


async def test_a_name_is_neither_markup_nor_a_mention(monkeypatch: pytest.MonkeyPatch) -> None:
    telegram = pytest.importorskip("apprise.plugins.telegram").NotifyTelegram  # it takes HTML
    async with StandIn(ok) as server:
        monkeypatch.setattr(telegram, "notify_url", f"{server.url}/bot")
        odd = facts(incident(title="app <b>@everyone is down"))
        to = receiver(f"tgram://123456789:{'a' * 35}/12345/")
        await to.send(odd, "a", {}, 5.0)
        sent = server.got[-1].body.decode()
    assert "app &lt;b&gt;@" in sent
    assert "@everyone" not in sent


async def test_an_unknown_kind_of_url_is_refused() -> None:
    assert isinstance(await receiver("nonsense://canary").send(facts(), "a", {}, 5.0), Refused)


def test_it_is_imported_only_where_it_is_configured() -> None:
    code = "import sys, kgents_alert_notifier.receivers.make; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
