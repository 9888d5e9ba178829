"""Values in the form of secrets, in every field that holds text, leave the gateway through no door."""

import json
from datetime import UTC, datetime
from typing import Final

from kgents_gateway.http.routes import QUESTIONS as ROUTES
from kgents_gateway.mcp.tools import TOOLS
from kgents_gateway.queries.paths import PATHS
from kgents_gateway.questions import QUESTIONS
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import encode
from kgents_shared.contract.health import Reason
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.topology import Difference
from kgents_shared.view.entity import key_of_ref
from support.build import make_ref
from support.decisions import make_silence, stored
from support.gateway import EVENTS, Running, caught_up, reading
from support.incidents import make_incident
from support.state import make_alert, make_event, make_health, make_topology, publish
from support.waiting import eventually

SECRET: Final = "CANARY-CANARY-CANARY"
URL: Final = f"redis://me:{SECRET}@cache:6379"
POD: Final = make_ref("cart")
KEY: Final = key_of_ref(POD)


async def fill(bus: Bus, gateway: Running, number: int) -> None:
    note = f"{number} failed: DB_PASSWORD={SECRET}"
    await publish(
        bus,
        make_topology(
            "cart",
            text=note,
            reason=note,
            labels={"app.token": SECRET},
            annotations={"url": URL},
            attributes={"api_key": SECRET, "args": [f"--password={SECRET}"], "number": number},
            changed=[Difference("attributes.api_key", SECRET, SECRET)],
        ),
        make_health("cart", level="critical", text=note, reasons=[Reason("KG-001", note, 0.9, value=URL)]),
        make_alert("cart", text=note, value=URL),
        make_event("cart", number=number, text=note, message=f"Authorization: Bearer {SECRET}"),
    )
    await stored(bus, make_incident("cart", title=note, text=note), make_silence("cart", reason=note))
    await eventually(lambda: gateway.gateway.incidents.all() and gateway.gateway.incidents.silences())
    sample = ResourcePulse(text=note, ref=POD, source="k8s", timestamp=datetime.now(UTC), interval_s=5, cpu_percent=3.0)
    await (await bus.session()).request(POD.subject("pulse", source="k8s"), encode(sample))
    await caught_up(bus, gateway)


async def test_no_door_shows_a_secret(bus: Bus, gateway: Running) -> None:
    await fill(bus, gateway, 1)
    since = datetime.now(UTC).isoformat()
    async with reading(gateway, incidents=5) as entities, reading(gateway, EVENTS, last=10) as events:
        await fill(bus, gateway, 2)
        await eventually(lambda: "upsert" in entities.names and events.names.count("event") == 2)
    shown = [each.data for each in (*entities.events, *events.events)]

    given = {"entity_id": KEY, "source": KEY, "target": KEY, "q": "cart", "since": since}
    given["incident_id"] = make_incident().id
    for path, name in ROUTES:
        needed = {each: given[each] for each in _needed(name)}
        for of in ("entity_id", "incident_id"):
            path = path.replace(f"{{{of}}}", needed.pop(of, ""))  # noqa: PLW2901 - the same with its parts
        response = await gateway.client.get(path, params=needed)
        assert response.status_code == 200, (path, response.text)
        shown.append(response.text)
    shown.append((await gateway.client.get("/api/v1/entities", params={"at": since})).text)
    for tool, question in TOOLS.items():
        needed = {each: given[each] for each in _needed(question.name)}
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": needed}}
        shown.append((await gateway.client.post("/mcp", json=call)).text)
    session = await bus.session()
    for each in PATHS:
        needed = {name: given[name] for name in _needed(each.question)}
        shown.append((await session.request(each.subject, json.dumps(needed).encode())).data.decode())

    assert not [text for text in shown if SECRET in text]
    assert sum("***" in text for text in shown) > 20
    assert all('"name":"cart"' in text for text in shown if '"***"' in text)


def _needed(name: str) -> list[str]:
    needed = {"diff": ["since"], "path": ["source", "target"], "search": ["q"]}
    fields = QUESTIONS[name].arguments.__struct_fields__
    of_one = [each for each in ("entity_id", "incident_id") if each in fields]
    return of_one or needed.get(name, [])


async def test_what_holds_no_secret_is_passed_on_as_it_arrived(bus: Bus, gateway: Running) -> None:
    message = make_topology("cart", labels={"app": "cart"}, annotations={"url": "http://host/path"})
    await publish(bus, message)
    await caught_up(bus, gateway)
    answer = (await gateway.client.get(f"/api/v1/entities/{KEY}")).content
    assert encode(message)[1:-1] in answer
