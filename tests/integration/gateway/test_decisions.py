"""Decisions over HTTP: what is stored, what is refused, and the line in the log of each."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from structlog.testing import capture_logs

from kgents_shared.bus.client import Bus
from kgents_shared.bus.word import last_word
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.codec import ACK, SILENCE
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.silence import Matcher, Silence
from kgents_shared.contract.subjects import build
from kgents_shared.contract.tokens import Token, digest_of
from support.decisions import make_silence, stored
from support.gateway import Running, caught_up, serving
from support.incidents import make_incident
from support.nats_server import NatsServer
from support.state import make_topology, publish
from support.waiting import eventually

INCIDENT: Final = make_incident(revision=4, severity_revision=2)
ACKNOWLEDGEMENT: Final = f"/api/v1/incidents/{INCIDENT.id}/acknowledgement"
QUIET: Final = f"/api/v1/silences/{INCIDENT.cluster}/quiet"
BODY: Final[dict[str, Any]] = {
    "matchers": [{"field": "namespace", "value": "shop"}],
    "duration_s": 3600,
    "reason": "an upgrade",
}
ADA: Final = {"authorization": "Bearer ada"}
TOKENS: Final = (
    Token("ada", digest_of("ada"), may=("read", "alert:write")),
    Token("bob", digest_of("bob"), may=("read", "alert:write")),
    Token("reader", digest_of("reader")),
)


@pytest.fixture
async def desk(bus: Bus, tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway that asks for a token, with one incident."""
    file = tmp_path / "tokens"
    file.write_text("".join(f"{each}\n" for each in TOKENS))
    async with serving(bus, tokens_file=file) as gateway:
        await fill(bus, gateway, INCIDENT)
        gateway.client.headers.update(ADA)
        yield gateway


async def fill(bus: Bus, gateway: Running, incident: Incident) -> None:
    await publish(bus, make_topology("cart", ref=incident.root.ref))
    await stored(bus, incident)
    await caught_up(bus, gateway)
    await holds(gateway, incident)


async def holds(gateway: Running, incident: Incident) -> None:
    def has_it() -> bool:
        found = gateway.gateway.incidents.with_id(incident.id)
        return found is not None and found.revision == incident.revision and found.state == incident.state

    await eventually(has_it)


async def acknowledgement(bus: Bus) -> tuple[Acknowledgement | None, int]:
    return await last_word(await bus.session(), ACK, INCIDENT.subject.replace(".incident.", ".ack."))


async def silence(bus: Bus, id_: str = "quiet") -> tuple[Silence | None, int]:
    subject = build("silence", cluster=INCIDENT.cluster, silence=id_)
    return await last_word(await bus.session(), SILENCE, subject)


async def test_an_acknowledgement_names_who_and_what_was_seen(bus: Bus, desk: Running) -> None:
    answer = await desk.client.put(ACKNOWLEDGEMENT, json={"note": "failing over", "revision": 3})
    assert answer.status_code == 200, answer.text
    assert answer.json()["is_new"] is True
    found, _ = await acknowledgement(bus)
    assert found is not None
    assert (found.by, found.via, found.note, found.revision) == ("token ada", "http", "failing over", 3)
    assert (found.incident, found.op) == (INCIDENT.id, "upsert")
    assert answer.json()["acknowledgement"]["by"] == "token ada"


async def test_the_same_once_more_stores_nothing_and_someone_else_replaces_it(bus: Bus, desk: Running) -> None:
    for is_new in (True, False):
        answer = await desk.client.put(ACKNOWLEDGEMENT, json={})
        assert answer.json()["is_new"] is is_new
    _, first = await acknowledgement(bus)
    assert first == 1
    answer = await desk.client.put(ACKNOWLEDGEMENT, json={}, headers={"authorization": "Bearer bob"})
    assert answer.json()["acknowledgement"]["by"] == "token bob"
    assert (await acknowledgement(bus))[1] > first


async def test_an_acknowledgement_is_taken_back_once(bus: Bus, desk: Running) -> None:
    assert (await desk.client.delete(ACKNOWLEDGEMENT)).status_code == 404
    await desk.client.put(ACKNOWLEDGEMENT, json={})
    answers = [(await desk.client.delete(ACKNOWLEDGEMENT)).json() for _ in range(2)]
    assert [each["is_new"] for each in answers] == [True, False]
    found, _ = await acknowledgement(bus)
    assert found is not None
    assert found.is_removal
    assert (await desk.client.put(ACKNOWLEDGEMENT, json={})).json()["is_new"] is True


async def test_what_became_worse_or_is_over_is_not_acknowledged(bus: Bus, desk: Running) -> None:
    worse = await desk.client.put(ACKNOWLEDGEMENT, json={"revision": 1})
    assert (worse.status_code, "more severe" in worse.json()["detail"]) == (409, True)
    assert (await desk.client.put(ACKNOWLEDGEMENT, json={"revision": 5})).status_code == 400
    over = make_incident(revision=5, state="resolved")
    await stored(bus, over)
    await holds(desk, over)
    for answer in (await desk.client.put(ACKNOWLEDGEMENT, json={}), await desk.client.delete(ACKNOWLEDGEMENT)):
        assert (answer.status_code, "resolved" in answer.json()["detail"]) == (409, True)
    assert await acknowledgement(bus) == (None, 0)


async def test_an_acknowledgement_from_before_it_became_worse_is_replaced(bus: Bus, desk: Running) -> None:
    await desk.client.put(ACKNOWLEDGEMENT, json={})
    worse = make_incident(revision=6, severity_revision=6)
    await stored(bus, worse)
    await holds(desk, worse)
    assert (await desk.client.put(ACKNOWLEDGEMENT, json={})).json()["is_new"] is True
    found, _ = await acknowledgement(bus)
    assert found is not None
    assert found.revision == 6


async def test_a_silence_has_an_author_an_end_and_a_reason(bus: Bus, desk: Running) -> None:
    before = datetime.now(UTC)
    answer = await desk.client.put(QUIET, json=BODY)
    assert answer.status_code == 200, answer.text
    found, _ = await silence(bus)
    assert found is not None
    assert (found.by, found.via, found.reason, found.purpose) == ("token ada", "http", "an upgrade", "silence")
    assert found.matchers == [Matcher(field="namespace", value="shop")]
    assert found.ends_at - found.starts_at == timedelta(hours=1)
    assert found.starts_at >= before
    await eventually(lambda: [each.id for each in desk.gateway.incidents.silences()] == ["quiet"])


async def test_the_same_silence_once_more_stores_nothing_and_another_reason_changes_it(bus: Bus, desk: Running) -> None:
    for body, is_new in ((BODY, True), (BODY, False), ({**BODY, "reason": "longer"}, True), (BODY, True)):
        assert (await desk.client.put(QUIET, json=body)).json()["is_new"] is is_new
    found, _ = await silence(bus)
    assert found is not None
    assert found.reason == "an upgrade"


async def test_a_silence_is_ended_once_and_may_begin_again(bus: Bus, desk: Running) -> None:
    assert (await desk.client.delete(QUIET)).status_code == 404
    await desk.client.put(QUIET, json=BODY)
    answers = [(await desk.client.delete(QUIET)).json() for _ in range(2)]
    assert [each["is_new"] for each in answers] == [True, False]
    found, _ = await silence(bus)
    assert found is not None
    assert (found.is_removal, found.by) == (True, "token ada")
    assert (await desk.client.put(QUIET, json=BODY)).json()["is_new"] is True


async def test_a_silence_of_the_command_line_is_ended_here(bus: Bus, desk: Running) -> None:
    await stored(bus, make_silence("a1b2c3d4"))
    assert (await desk.client.delete(QUIET.replace("quiet", "a1b2c3d4"))).status_code == 200
    found, _ = await silence(bus, "a1b2c3d4")
    assert found is not None
    assert found.is_removal


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"matchers": []}, "matchers"),
        ({"matchers": [{"field": "colour", "value": "red"}]}, "found 'colour'"),
        ({"matchers": [{"field": "label.", "value": "red"}]}, "found 'label.'"),
        ({"matchers": [{"field": "name", "value": ""}]}, "matchers[0].value"),
        ({"matchers": "namespace=shop"}, "matchers"),
        ({"duration_s": 0}, "duration_s"),
        ({"duration_s": 32_000_000}, "duration_s"),
        ({"duration_s": "1h"}, "duration_s"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 1_001}, "reason"),
        ({"starts_at": "yesterday"}, "starts_at"),
        ({"starts_at": "2020-01-01T00:00:00Z"}, "starts_at"),
        ({"starts_at": "2999-01-01T00:00:00Z"}, "starts_at"),
        ({"purpose": "joke"}, "purpose"),
        ({"by": "root"}, "'by'"),
    ],
)
async def test_a_silence_that_is_not_valid_says_what_was_expected(
    bus: Bus, desk: Running, change: dict[str, Any], expected: str
) -> None:
    answer = await desk.client.put(QUIET, json={**BODY, **change})
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert expected in answer.json()["detail"]
    assert await silence(bus) == (None, 0)


async def test_what_is_no_body_of_json_is_refused(desk: Running) -> None:
    for content, kind, status in (
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"", "application/json", 400),
        (b"[" * 100_000, "application/json", 413),
        (b"[" * 60_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"note=x", "application/x-www-form-urlencoded", 415),
    ):
        answer = await desk.client.put(ACKNOWLEDGEMENT, content=content, headers={"content-type": kind})
        assert answer.status_code == status, (content[:10], kind, answer.text)
    assert (await desk.client.request("DELETE", ACKNOWLEDGEMENT, json={})).status_code == 400
    assert (await desk.client.post(ACKNOWLEDGEMENT, json={})).status_code == 405


async def test_what_does_not_exist_is_not_decided_about(desk: Running) -> None:
    assert (await desk.client.put("/api/v1/incidents/5c0ffee5/acknowledgement", json={})).status_code == 404
    answer = await desk.client.put("/api/v1/silences/tset/quiet", json=BODY)
    assert (answer.status_code, "tset" in answer.json()["detail"]) == (404, True)
    assert (await desk.client.put(QUIET.replace("quiet", "QUIET!"), json=BODY)).status_code == 400


async def test_a_token_that_may_only_read_decides_nothing_and_that_is_noted(bus: Bus, desk: Running) -> None:
    with capture_logs() as logs:
        for method, path, body in decisions():
            answer = await desk.client.request(method, path, json=body, headers={"authorization": "Bearer reader"})
            assert (answer.status_code, "alert:write" in answer.json()["detail"]) == (403, True), path
    assert [(each["by"], each["status"]) for each in audited(logs)] == [("token reader", 403)] * 4
    assert await acknowledgement(bus) == (None, 0)
    assert await silence(bus) == (None, 0)


def decisions() -> list[tuple[str, str, dict[str, Any] | None]]:
    return [
        ("PUT", ACKNOWLEDGEMENT, {}),
        ("DELETE", ACKNOWLEDGEMENT, None),
        ("PUT", QUIET, BODY),
        ("DELETE", QUIET, None),
    ]


def audited(logs: list[Any]) -> list[dict[str, Any]]:
    return [each for each in logs if each["event"] == "audit"]


async def test_every_decision_is_a_line_in_the_log_with_what_was_before_and_no_secret(desk: Running) -> None:
    secret = "hunter2hunter2"
    with capture_logs() as logs:
        await desk.client.put(QUIET, json={**BODY, "reason": f"https://ada:{secret}@wiki/"})
        await desk.client.put(QUIET, json={**BODY, "reason": "longer"})
        await desk.client.put(QUIET, json={**BODY, "duration_s": 0})
        await desk.client.put(ACKNOWLEDGEMENT, json={"note": f"password={secret}"})
        await desk.client.delete(QUIET)
    assert secret not in repr(logs)
    assert "Bearer" not in repr(logs)
    first, second, refused, third, last = audited(logs)
    assert {each["by"] for each in audited(logs)} == {"token ada"}
    assert {each["peer"] for each in audited(logs)} == {"127.0.0.1"}
    assert [each["decision"] for each in audited(logs)] == [
        "silence", "silence", "silence", "acknowledge", "unsilence",
    ]  # fmt: skip
    assert (first["before"], first["after"]["reason"]) == (None, "https://***@wiki/")
    assert (second["before"]["reason"], second["after"]["reason"]) == ("https://***@wiki/", "longer")
    assert (refused["status"], refused["after"], "duration_s" in refused["why"]) == (400, None, True)
    assert third["about"] == f"PUT {ACKNOWLEDGEMENT}"
    assert (last["before"]["reason"], last["after"]["op"]) == ("longer", "remove")


async def test_only_the_page_of_this_gateway_decides_with_a_cookie(bus: Bus, desk: Running) -> None:
    host = httpx.URL(desk.server.address).netloc.decode()
    cookie = {"cookie": "kgents=ada"}
    async with httpx.AsyncClient(base_url=desk.server.address, timeout=30) as browser:
        for headers, status in (
            ({}, 403),
            ({"sec-fetch-site": "none"}, 403),
            ({"sec-fetch-site": "same-site"}, 403),
            ({"sec-fetch-site": "cross-site"}, 403),
            ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 403),
            ({"origin": "https://evil.example"}, 403),
            ({"origin": "null"}, 403),
            ({"origin": f"http://{host}"}, 200),
            ({"sec-fetch-site": "same-origin"}, 200),
        ):
            answer = await browser.put(ACKNOWLEDGEMENT, json={}, headers=cookie | headers)
            assert answer.status_code == status, (headers, answer.text)
    found, _ = await acknowledgement(bus)
    assert found is not None
    assert (found.by, found.via) == ("token ada", "web")


async def test_without_a_login_programs_decide_and_pages_of_other_sites_do_not(bus: Bus, gateway: Running) -> None:
    await fill(bus, gateway, INCIDENT)
    for site in ("cross-site", "same-site"):
        answer = await gateway.client.put(ACKNOWLEDGEMENT, json={}, headers={"sec-fetch-site": site})
        assert answer.status_code == 403
    assert (await gateway.client.put(ACKNOWLEDGEMENT, json={})).status_code == 200
    found, _ = await acknowledgement(bus)
    assert found is not None
    assert found.by == "address 127.0.0.1"


async def test_of_two_who_decide_at_once_one_is_refused_or_both_follow_one_another(bus: Bus, desk: Running) -> None:
    async def decide(token: str, note: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        return (await desk.client.put(ACKNOWLEDGEMENT, json={"note": note}, headers=headers)).status_code

    async with asyncio.TaskGroup() as tasks:
        both = [tasks.create_task(decide(who, f"{who}{n}")) for n in range(8) for who in ("ada", "bob")]
    statuses = [each.result() for each in both]
    assert set(statuses) <= {200, 409}
    assert 200 in statuses
    _, seq = await acknowledgement(bus)
    assert seq == statuses.count(200), "each that was accepted is stored, once"


async def test_while_nats_is_away_nothing_is_accepted_and_the_incidents_are_still_shown(
    bus: Bus, server: NatsServer, gateway: Running
) -> None:
    await fill(bus, gateway, INCIDENT)
    await server.stop()
    await eventually(lambda: gateway.gateway.stale_since is not None)
    for method, path, body in decisions():
        answer = await gateway.client.request(method, path, json=body)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True), path
    found = await gateway.get(f"/api/v1/incidents/{INCIDENT.id}")
    assert found["stale_since"] is not None


async def test_a_client_asks_who_it_is_and_what_it_may(desk: Running) -> None:
    for name, may in (("ada", ["alert:write", "read"]), ("reader", ["read"])):
        found = (await desk.client.get("/api/v1/identity", headers={"authorization": f"Bearer {name}"})).json()
        assert found == {
            "name": f"token {name}", "may": may, "clusters": [], "namespaces": [], "is_logged_in": True,
        }  # fmt: skip
