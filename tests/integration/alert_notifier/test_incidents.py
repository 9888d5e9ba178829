"""alert-notifier as a process and the commands of people, on a real server: alerts → an incident → its end."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import INCIDENT
from kgents_shared.contract.incident import Incident
from support.build import make_ref
from support.fixtures import bus, server
from support.grouping import alert, workload
from support.kgents_command import Result, run_kgents
from support.nats_server import NatsServer
from support.service_process import ServiceProcess
from support.state import publish
from support.streams import provision_streams, stored
from support.truth import in_sync, last_seq
from support.waiting import eventually

__all__ = ["bus", "server"]

NAME = "alert-notifier"
CART = make_ref("cart", kind="deployment")
SETTINGS = {
    "grouping": {"calm_s": 2},
    "receivers": {"tool": {"webhook": {"url": "http://127.0.0.1:9"}}},
    "routes": [{"match": {"namespace": "nowhere"}, "to": ["tool"]}, {"to": [], "wait_s": 1}],
}
"""No one is notified: what receivers get is tested elsewhere."""


@asynccontextmanager
async def running(server: NatsServer, bus: Bus, directory: Path) -> AsyncIterator[ServiceProcess]:
    await provision_streams(bus)
    config = directory / "kgents.yaml"
    config.write_text(json.dumps({NAME: SETTINGS}))
    async with ServiceProcess(NAME, server.url, directory, config=config) as process:
        await in_sync(bus, NAME)
        yield process


async def incidents(bus: Bus) -> list[Incident]:
    found = {each.subject: INCIDENT.decode(each.payload) for each in await stored(bus, "KGENTS_INCIDENT")}
    return list(found.values())


async def the_incident(bus: Bus, **fields: Any) -> Incident:
    """The one incident, once it has these fields."""

    async def is_so() -> bool:
        found = await incidents(bus)
        return len(found) == 1 and all(getattr(found[0], name) == value for name, value in fields.items())

    await eventually(is_so)
    (found,) = await incidents(bus)
    return found


async def shows_who_decided(kgents: Callable[..., Awaitable[Result]], id_: str) -> None:
    """Both for people and for programs."""
    decided = ["acknowledge", "unacknowledge", "silence", "unsilence"]
    _, out, _ = await kgents("incidents", id_, "-o", "json")
    found = [each["decided"] for each in json.loads(out)["timeline"] if "decided" in each]
    assert [(each["action"], each["via"]) for each in found] == [(each, "cli") for each in decided]
    me = found[2]["by"]
    assert [each["by"] for each in found] == ["ada", "ada", me, me]
    assert [each.get("reason", "") for each in found] == ["on it", "", "upgrade", ""]
    _, out, _ = await kgents("incidents", id_)
    lines = out[out.index("\ndecisions\n") :].splitlines()[3 : 3 + len(decided)]
    assert [action in line for action, line in zip(decided, lines, strict=True)] == [True] * 4, out
    assert ("ada (cli)" in lines[0], lines[0].endswith("on it"), "namespace=sh*" in lines[2]) == (True, True, True)


async def test_the_life_of_an_incident(server: NatsServer, bus: Bus, tmp_path: Path) -> None:
    async def kgents(*args: str) -> Result:
        return await run_kgents(*args, "--nats", server.url, "--config", str(tmp_path / "kgents.yaml"))

    async with running(server, bus, tmp_path) as process:
        assert (await kgents("incidents")).err == "no incident is open\n"
        await publish(bus, *workload("cart"))
        fired = datetime.now(UTC)
        pod = alert(make_ref("cart-0"), "KG-020", fired, severity="warning")
        await publish(bus, alert(CART, "KG-041", fired, severity="warning"), pod)
        opened = await the_incident(bus, state="open", affected_count=2)
        assert (opened.root.ref, opened.revision, opened.severity) == (CART, 1, "warning")

        process.kill()
        before = await last_seq(bus, "KGENTS_INCIDENT")
        process.start()
        await in_sync(bus, NAME)
        await publish(bus, pod)
        assert await last_seq(bus, "KGENTS_INCIDENT") == before

        code, out, _ = await kgents("incidents")
        assert (code, out.splitlines()[1].split()[:3]) == (0, [opened.id[:8], "warning", "open"])
        _, out, _ = await kgents("incidents", "-o", "json")
        assert [each["id"] for each in json.loads(out)] == [opened.id]
        _, out, _ = await kgents("incidents", opened.id[:6])
        assert out.splitlines()[0] == opened.text

        _, out, err = await kgents("alerts", "ack", opened.id[:8], "--by", "ada", "--note", "on it")
        assert out == f"✔ ada takes care of incident {opened.id}: on it: {opened.title}\n", err
        acknowledged = await the_incident(bus, state="acknowledged")
        assert acknowledged.acknowledged is not None
        assert (acknowledged.acknowledged.by, acknowledged.acknowledged.via) == ("ada", "cli")

        await kgents("alerts", "unack", opened.id, "--by", "ada")
        await the_incident(bus, state="open")

        words = ("namespace=sh*", "--for", "2h", "--reason", "upgrade")
        _, out, _ = await kgents("alerts", "silence", *words, "-o", "json")
        (silence,) = json.loads(out)
        await the_incident(bus, silenced_by=[silence["id"]])
        _, out, _ = await kgents("alerts", "silences")
        assert out.splitlines()[1].split()[-2:] == ["namespace=sh*", "upgrade"]
        await kgents("alerts", "unsilence", silence["id"])
        await the_incident(bus, silenced_by=[])
        assert (await kgents("alerts", "silences")).err == "nothing is silenced\n"

        code, out, err = await kgents("alerts", "route", "--explain", "--incident", opened.id)
        assert (code, out.splitlines()) == (
            0,
            [
                "· routes[0] passes: namespace is shop, not nowhere",
                "✔ routes[1] takes it (it takes everything): no one, after 1 s",
                "notified: no one",
            ],
        ), err

        await shows_who_decided(kgents, opened.id)

        ended = datetime.now(UTC)
        await publish(bus, alert(CART, "KG-041", ended, state="resolved"))
        await publish(bus, alert(pod.ref, "KG-020", ended, state="resolved"))
        await the_incident(bus, state="resolved")
        code, _, err = await kgents("alerts", "ack", opened.id)
        assert (code, err) == (1, f"kgents: incident {opened.id} is resolved; see `kgents incidents`\n")
        _, out, _ = await kgents("alerts", "review", "-o", "json")
        (check,) = json.loads(out)["checks"]
        assert (check["check"], check["count"], check["never_acted_on"]) == ("KG-041", 1, True)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("alerts", "silence", "shop"), "expected FIELD=VALUE or FIELD!=VALUE, found 'shop'; try: namespace=shop"),
        (("alerts", "silence", "namespce=shop"), "no field 'namespce' to match; did you mean namespace?"),
        (("alerts", "silence", "name=x", "--for", "2 weeks"), "--for: expected a duration such as 30s, 10m, 2h or 1d"),
        (("alerts", "silence", "name=x"), "no alert-notifier reports, so no cluster is known"),
        (("alerts", "unsilence", "abcd"), "no silence abcd; nothing is silenced; see `kgents alerts silences`"),
        (("alerts", "ack", "abcd"), "no incident abcd; `kgents incidents --all` lists them"),
        (("alerts", "mute"), "no command 'mute' of `kgents alerts`; did you mean"),
    ],
)
async def test_what_cannot_be_done_says_so(server: NatsServer, bus: Bus, args: tuple[str, ...], said: str) -> None:
    await provision_streams(bus)
    found = await run_kgents(*args, "--nats", server.url)
    assert found.code != 0
    assert said in found.err
