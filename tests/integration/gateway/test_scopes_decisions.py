"""No identity decides about what it does not see."""

from kgents_gateway.http.routes import SILENCE
from kgents_shared.bus.client import Bus
from support.gateway import Running
from support.in_scope import decisions_stay_in_scope, stored_of
from support.scopes import PLACES, bearer, incident_id


async def test_no_identity_decides_about_what_it_does_not_see(bus: Bus, guarded: Running) -> None:
    await decisions_stay_in_scope(bus, guarded, bearer)


async def test_a_silence_of_another_scope_is_neither_ended_nor_replaced(bus: Bus, guarded: Running) -> None:
    for place in PLACES:
        cluster, _ = PLACES[place]
        path = SILENCE.replace("{cluster}", cluster).replace("{silence_id}", f"quiet-{place}")
        if place == "eastshop":
            continue
        before = await stored_of(bus)
        assert (await guarded.client.delete(path, headers=bearer("east-shop.w"))).status_code == 404
        body = {"matchers": [{"field": "namespace", "value": "shop"}], "duration_s": 60, "reason": "x"}
        answer = await guarded.client.put(path, json=body, headers=bearer("east-shop.w"))
        assert answer.status_code == (409 if cluster == "east" else 404)
        assert await stored_of(bus) == before


async def test_a_scope_of_namespaces_silences_nothing_beyond_them(bus: Bus, guarded: Running) -> None:
    path = SILENCE.replace("{cluster}", "east").replace("{silence_id}", "mine")
    before = await stored_of(bus)
    for matchers in (
        [{"field": "name", "value": "*"}],
        [{"field": "namespace", "value": "*"}],
        [{"field": "namespace", "value": "sho*"}],
        [{"field": "namespace", "value": "bank"}],
        [{"field": "namespace", "value": "shop", "is_negated": True}],
        [{"field": "label.namespace", "value": "shop"}],
        [{"field": "incident", "value": incident_id("eastshop")}],
    ):
        body = {"matchers": matchers, "duration_s": 60, "reason": "x"}
        answer = await guarded.client.put(path, json=body, headers=bearer("east-shop.w"))
        assert (answer.status_code, "namespace=NAME" in answer.text) == (403, True), matchers
    assert await stored_of(bus) == before
