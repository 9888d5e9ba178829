"""No identity decides about what it does not see."""

from kgents_gateway.http.routes import ACKNOWLEDGEMENT, SILENCE
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract.tokens import Token
from support.gateway import Running
from support.scopes import PLACES, TABLE, bearer, incident_id, places_in


async def test_no_identity_decides_about_what_it_does_not_see(bus: Bus, guarded: Running) -> None:
    for identity, (token, sees) in TABLE.items():
        for place in PLACES:
            await decide_about(bus, guarded, identity, token, place, is_seen=place in sees)


async def decide_about(bus: Bus, guarded: Running, identity: str, token: Token, place: str, *, is_seen: bool) -> None:
    """Acknowledge, silence, and end both; refused as if it did not exist, and nothing is stored, where it is unseen."""
    cluster, namespace = PLACES[place]
    path = ACKNOWLEDGEMENT.replace("{incident_id}", incident_id(place))
    own = f"{identity}-{place}"
    silence_path = SILENCE.replace("{cluster}", cluster).replace("{silence_id}", own)
    field, value = ("namespace", namespace) if namespace else ("kind", "node")
    body = {"matchers": [{"field": field, "value": value}], "duration_s": 60, "reason": "x"}
    may_silence = is_seen and (bool(namespace) or not token.namespaces)
    before = await stored_of(bus)
    for headers, is_allowed in ((bearer(identity), False), (bearer(f"{identity}.w"), True)):
        for method, at, content, may in (
            ("PUT", path, {}, is_seen),
            ("DELETE", path, None, is_seen),
            ("PUT", silence_path, body, may_silence),
            ("DELETE", silence_path, None, may_silence),
        ):
            answer = await guarded.client.request(method, at, json=content, headers=headers)
            if is_allowed and may:
                assert answer.status_code == 200, (identity, method, at, answer.text)
            else:
                assert answer.status_code in ((403, 404) if is_allowed else (403,)), (identity, at)
                assert places_in(answer.text) <= places_in(at) | TABLE[identity][1]
    assert await stored_of(bus) - before == (2 if is_seen else 0) + (2 if may_silence else 0)


async def stored_of(bus: Bus) -> int:
    """How many decisions were ever stored."""
    session = await bus.session()
    return sum([(await stream_info(session, f"KGENTS_{each}")).last_seq for each in ("ACK", "SILENCE")])


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
