import time
from typing import Any

import pytest

from kgents_shared.contract.codec import encode
from kgents_shared.contract.masking import MASK, masked, masked_message
from kgents_shared.contract.topology import Difference
from support.state import make_topology

NOTES = (
    'Readiness probe failed: Get "http://10.0.0.7:8080/health?token=CANARY&x=CANARY": dial tcp: refused',
    'Failed to pull image "x": Get "https://robot:CANARY@registry.example/v2/": unauthorized',
    "Exec lifecycle hook ([/bin/sh -c curl -u me:CANARY http://x]) for Container main in Pod p failed",
    "Liveness probe failed: DB_PASSWORD=CANARY ./check",
    "Liveness probe failed: ./check --password CANARY --api-key=CANARY",
    'Liveness probe failed: {"token": "CANARY", "secret": \'CANARY\'}',
    "Liveness probe failed: curl -H 'Authorization: Bearer CANARY-CANARY'",
    "Liveness probe failed: redis://:CANARY@cache:6379/0",
    "login failed, password: CANARY",
    "eyJhbGciOiJSUzI1NiJ9.CANARY-CANARY.CANARY",
    "kgents_CANARY-CANARY-CANARY-CANARY-CANARY",
    "ghp_CANARYCANARYCANARYCANARYCANARY",
    "-----BEGIN RSA PRIVATE KEY-----\nCANARY\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nCANARY\n-----END PGP PRIVATE KEY BLOCK-----",
    "-----BEGIN USER NKEY SEED-----\nCANARY\n------END USER NKEY SEED------",
    f"nats: SU{'CANARY' * 9}AA is no user",
    "dial redis://:CAN@CANARY@cache:6379/0: timeout",
    "dial postgres://me:CANARY/CANARY@db:5432/shop: timeout",
    "no servers: nats://a:CANARY@n1:4222,nats://b:CANARY@n2:4222",
    "open me:CANARY@tcp(10.0.0.7:3306)/shop: refused",
    "Liveness probe failed: DB_PASS=CANARY MYSQL_PWD=CANARY ./check --pass CANARY",
    "curl -H 'X-Api-Key: CANARY-CANARY' http://host",
    "posted to https://hooks.slack.com/services/T0/B0/CANARY: 404",
    "posted to https://discord.com/api/webhooks/1/CANARY: 404",
    "xoxb-CANARY-CANARY-CANARY",
    "sk_live_CANARYCANARYCANARYCANARY",
)


@pytest.mark.parametrize("note", NOTES)
def test_what_resembles_a_credential_is_masked(note: str) -> None:
    found = masked(note)
    assert "CANARY" not in found
    assert "***" in found


@pytest.mark.parametrize(
    "note",
    [
        'MountVolume.SetUp failed for volume "login" : secret "db-login" not found',
        "Error: couldn't find key password in Secret shop/db-login",
        "failed to fetch oauth token: unexpected status: 401 Unauthorized",
        'Readiness probe failed: Get "http://10.0.0.7:8080/health": context deadline exceeded',
        "0/3 nodes are available: 3 Insufficient cpu.",
        "Successfully assigned shop/cart-7f to node-1",
        "basic checks failed",
        "3 pass, 1 fail: pass=3",
        "pulled docker-pullable://registry.example/shop/cart@sha256:5c0ffee5a17c0de5",
        "GET http://10.0.0.7:8080/users/me@host: 404",
        "keyboard token-bucket SUMMARY",
    ],
)
def test_what_only_names_a_secret_stays(note: str) -> None:
    assert masked(note) == note


@pytest.mark.parametrize(
    "note",
    [
        "a" * 4096, "token-" * 700, "x://" * 1000, "x://a:" * 700, "x://a:b" + "/" * 4000, "hook ([" * 600,
        "password" * 500, "-----BEGIN " * 300, "a" * 4000 + "@tcp(", "SU" * 2000,
    ],
)  # fmt: skip
def test_no_note_takes_long(note: str) -> None:
    started = time.process_time()
    masked(note)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "fields",
    [
        {"labels": {"db.password": "CANARY"}},
        {"annotations": {"note": "see https://me:CANARY@host/"}},
        {"attributes": {"api_key": "CANARY", "args": ["--token=CANARY", "x"]}},
        {"attributes": {"app.token": ["CANARY"]}, "text": "changed from CANARY"},
        {
            "attributes": {"client_secret": "CANARY"},
            "changed": [Difference("attributes.client_secret", "CANARY", "CANARY")],
        },
        {"changed": [Difference("attributes.PASSWD", "CANARY", None)], "text": "pod: CANARY is over"},
        {"reason": "Authorization: CANARY"},
        {"annotations": {"source": "redis://me:CANARY@host", "id": "PASSWORD=CANARY"}},
        {"labels": {"kind": "ghp_CANARYCANARYCANARYCANARYCANARY"}},
        {"attributes": {"db_pass": "CANARY", "pwd": ["CANARY"]}},
    ],
)
def test_no_credential_is_left_in_a_message(fields: dict[str, Any]) -> None:
    before = encode(make_topology("secret-token", **fields))
    after = masked_message(before)
    assert b"CANARY" in before
    assert b"CANARY" not in after
    assert MASK.encode() in after
    assert b'"name":"secret-token"' in after
    assert masked_message(after) == after


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"labels": {"secret-name": "db", "token-bucket": "5", "app": "cart"}},
        {"attributes": {"tokens_per_s": 5, "k8s.secret.name": "db-login", "url": "http://host/path", "password": None}},
        {"reason": "CreateContainerConfigError", "text": 'secret "db-login" not found'},
        {"aliases": ["mailto:me@host"], "addresses": ["10.0.0.1:5432"]},
    ],
)
def test_a_message_without_a_credential_stays_as_it_arrived(fields: dict[str, Any]) -> None:
    before = encode(make_topology("cart", **fields))
    assert masked_message(before) is before


@pytest.mark.parametrize("note", NOTES)
def test_a_message_is_masked_wherever_a_text_is(note: str) -> None:
    assert b"CANARY" not in masked_message(encode(make_topology("cart", annotations={"note": note})))


def test_a_number_is_masked_where_its_name_says_that_it_is_a_secret() -> None:
    changed = [Difference("attributes.pin_password", 482_913, 77_001)]
    message = encode(make_topology("cart", attributes={"pin_password": 482_913, "tokens": 7_007}, changed=changed))
    found = masked_message(message)
    assert not any(each in found for each in (b"482913", b"77001"))
    assert b"7007" in found


def test_escapes_of_json_hide_nothing() -> None:
    hidden = b'{"ref":{"name":"a"},"attributes":{"\\u0070assword":"CANARY","url":"x:\\/\\/me:CANARY@host"}}'
    assert b"CANARY" not in masked_message(hidden)


def test_a_key_that_stands_twice_hides_nothing() -> None:
    """Readers take the last one, and the first is in the bytes all the same."""
    hidden = b'{"text":"password=CANARY","ref":{"name":"a"},"text":"a is running"}'
    assert masked_message(hidden) == b'{"text":"a is running","ref":{"name":"a"}}'


def test_what_is_no_message_stays() -> None:
    for payload in (b"", b"token", b"[" * 100_000 + b"token"):
        assert masked_message(payload) is payload
