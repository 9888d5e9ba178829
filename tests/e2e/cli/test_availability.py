"""`kgents availability` from the messages of a stream, as a table, as JSON and as a document."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nats.aio.client import Client

from kgents_shared.contract.attestation import BUILDER, SCORER
from kgents_shared.contract.audit import ended, of_decision
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health, Reason
from kgents_shared.contract.incident import Incident, Root
from kgents_shared.contract.meta import ATTENDANCE, Absence, Attendance, Heartbeat
from kgents_shared.contract.pulse import EdgeSample, TrafficPulse
from kgents_shared.contract.silence import Matcher, Silence
from kgents_shared.contract.sketch import Histogram
from kgents_shared.contract.subjects import build
from kgents_shared.contract.unread import Unread
from support.kgents_command import Kgents, publish
from support.shop import CART, NODE, WEB, connection, entity
from support.waiting import eventually

OBJECTIVES = """
objectives:
  - {name: web runs, target: 0.5, entity: web-*}
  - {name: cart answers, target: 0.5, edge: {caller: app/*, peer: "*cart*"}}
  - {name: cart is fast, target: 0.5, edge: {peer: "*cart*", within_ms: 250}}
"""


async def publish_an_hour(client: Client) -> datetime:
    """CART is critical for half an hour; WEB is healthy, and for the last quarter its source does not attest it.

    Half an hour ago nothing was judged for five minutes, and for five more CART was silenced for maintenance.
    """
    now = datetime.now(UTC)
    hour, half, quarter = (now - timedelta(minutes=minutes) for minutes in (60, 30, 15))
    for message in (
        entity(CART),
        entity(WEB, sources=["docker"]),
        entity(Ref("prod", "source", "docker"), unread=[Unread(since=quarter, reason="gone")]),
        Health("t", CART, score=0.2, level="critical", since=half),
        Health("t", WEB, score=1.0, level="healthy", since=hour),
    ):
        await publish(client, message)
    incident = Incident(
        text="t", title="t", cluster="prod", id="5c0ffee5c0ffee50", state="resolved", severity="critical",
        started_at=half, opened_at=half, changed_at=now, ended_at=quarter, root=Root(ref=CART, check="KG-1", why="w"),
    )  # fmt: skip
    await client.jetstream().publish(incident.subject, encode(incident))
    calls = EdgeSample(
        peer=CART, kind="http", n=3, spans=3, errors_client=1, client_ms=Histogram(start=0, counts=[1], zeros=1)
    )  # one of three is a stream
    pulse = TrafficPulse(ref=Ref("prod", "app", "web"), source="otel", timestamp=quarter, interval_s=10, edges=[calls])
    await client.jetstream().publish(pulse.ref.subject("pulse", source="otel"), encode(pulse))
    absence = Absence(half, half + timedelta(minutes=5))
    for service, absences in ((BUILDER, []), (SCORER, [absence])):
        attendance = Attendance(hour - timedelta(hours=1), absences)
        beat = Heartbeat("t", ATTENDANCE, service, "0", hour, "stopped", attendance=attendance)
        subject = build("meta", cluster="prod", service=ATTENDANCE, instance=service)
        await client.jetstream().publish(subject, encode(beat))
    silence = Silence(
        text="t", cluster="prod", id="5c0ffee5", matchers=[Matcher(field="name", value=CART.name)],
        starts_at=quarter - timedelta(minutes=5), ends_at=quarter, by="ada", reason="r", purpose="maintenance",
    )  # fmt: skip
    record = of_decision(silence, None, id_="1", origin="ada@laptop")
    for each in (record, ended(record)):
        await client.jetstream().publish(each.subject, encode(each))
    return now


async def test_time_in_each_level_is_reported_and_what_is_unknown_is_no_credit(
    client: Client, kgents: Kgents, tmp_path: Path
) -> None:
    await publish_an_hour(client)
    (tmp_path / "slo.yaml").write_text(OBJECTIVES)
    words = ("availability", "--since", "60m", "--by", "entity", "--objectives", str(tmp_path / "slo.yaml"))
    code, out, _ = await kgents(*words, "-o", "json")
    assert code == 0
    report = json.loads(out)
    cart, web = (
        {each["name"]: each for each in report["groups"]}[name] for name in ("pod/shop/cart-7f", "pod/shop/web-0")
    )
    # The stream began just now: of before only what the messages say is known.
    assert (cart["available_ratio"], web["available_ratio"]) == (0.0, 1.0)
    minutes = [each / 60 for each in (cart["critical_s"], web["healthy_s"], web["unknown_s"])]
    assert minutes == pytest.approx([20, 40, 20], abs=2)  # for as long as the command takes to start
    assert cart["planned_s"] == pytest.approx(300), "a silence that has ended is in the audit trail"
    assert any("prod: health-scorer did not run" in each for each in report["remarks"])
    assert (cart["incidents"], cart["mttr_s"], web["incidents"], web["mttr_s"]) == (1, 900.0, 0, None)
    objectives = {each["name"]: each for each in report["objectives"]}
    assert objectives["web runs"]["budget_spent_ratio"] == 0.0
    answers, fast = objectives["cart answers"], objectives["cart is fast"]
    assert (answers["good"], answers["total"], answers["unknown"]) == (2, 3, 0)
    assert (fast["good"], fast["total"], fast["unknown"]) == (2, 2, 1)
    assert any(each.startswith("requests: samples are held since") for each in report["remarks"])

    code, out, _ = await kgents(*words)
    assert (code, out.splitlines()[0].split()[:2]) == (0, ["OBJECTIVE", "TARGET"])
    assert any(line.split()[:3] == ["pod/shop/cart-7f", "1", "0"] for line in out.splitlines())
    _, out, _ = await kgents(*words, "-o", "html")
    assert out.startswith("<!doctype html>")
    assert "pod/shop/cart-7f" in out


async def test_what_ran_on_a_machine_under_maintenance_is_planned_also_once_that_is_over(
    client: Client, kgents: Kgents
) -> None:
    for each in (entity(NODE), entity(CART, connections=[connection("runs_on", NODE)]), entity(WEB)):
        await publish(client, each)
    for ref in (CART, WEB):
        reasons = [Reason("KG-043", "t", 0.6)]
        await publish(client, Health("t", ref, score=0.2, level="critical", reasons=reasons))
    begins = datetime.now(UTC)
    for service in (BUILDER, SCORER):
        beat = Heartbeat("t", ATTENDANCE, service, "0", begins, "stopped", attendance=Attendance(begins))
        await client.jetstream().publish(
            build("meta", cluster="prod", service=ATTENDANCE, instance=service), encode(beat)
        )
    silence = Silence(
        text="t", cluster="prod", id="5c0ffee5", starts_at=begins, ends_at=begins + timedelta(seconds=0.5), by="ada",
        matchers=[Matcher(field="kind", value="node"), Matcher(field="name", value=NODE.name)], reason="r",
        purpose="maintenance",
    )  # fmt: skip
    record = of_decision(silence, None, id_="1", origin="ada@laptop")
    for stage in (record, ended(record)):
        await client.jetstream().publish(stage.subject, encode(stage))
    planned: dict[str, float] = {}

    async def is_over() -> bool:
        _, out, _ = await kgents("availability", "--since", "1h", "--by", "entity", "-o", "json")
        planned.update({each["name"]: each["planned_s"] for each in json.loads(out)["groups"]})
        return planned["pod/shop/cart-7f"] == 0.5

    await eventually(is_over)
    assert planned["pod/shop/web-0"] == 0.0


async def test_what_cannot_be_answered_says_why(client: Client, kgents: Kgents, tmp_path: Path) -> None:
    await publish(client, entity(NODE))
    code, out, err = await kgents("availability", "--since", "1h")
    assert (code, out) == (0, "")
    assert "nothing was scored" in err
    (tmp_path / "slo.yaml").write_text("objectives: [{name: a, target: 2}]")
    code, _, err = await kgents("availability", "--objectives", str(tmp_path / "slo.yaml"))
    assert code == 1
    assert "$.objectives[0].target" in err
