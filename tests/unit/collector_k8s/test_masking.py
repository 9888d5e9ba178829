import time

import pytest

from kgents_collector_k8s.mapping.masking import masked


@pytest.mark.parametrize(
    "note",
    [
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
    ],
)
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
    ],
)
def test_what_only_names_a_secret_stays(note: str) -> None:
    assert masked(note) == note


@pytest.mark.parametrize("note", ["a" * 4096, "token-" * 700, "x://" * 1000, "hook ([" * 600, "password" * 500])
def test_no_note_takes_long(note: str) -> None:
    started = time.process_time()
    masked(note)
    assert time.process_time() - started < 0.5
