"""Which services `kgents up` starts, and what it says of those that it does not."""

from kgents_cli.discovery import Finding, detect, useful
from kgents_shared.runtime.detect import Detected

INSTALLED = ["collector-db", "collector-k8s", "collector-nats", "topology-builder"]
HERE = Finding("collector-db", Detected("Redis", "127.0.0.1:6379"))
LOCKED = Finding("collector-k8s", Detected("Kubernetes", "/home/me/config", "it cannot be read", "a kubeconfig"))
MISSING = Finding("collector-db", Detected("Qdrant", needs="a server on 127.0.0.1:6333"))


def test_a_finding_is_one_sentence() -> None:
    assert HERE.text == "found: 127.0.0.1:6379; collected by collector-db"
    assert LOCKED.text == "found: /home/me/config, but it cannot be read; needs a kubeconfig"
    assert MISSING.text == "not found: needs a server on 127.0.0.1:6333"


def test_a_collector_is_useful_where_it_finds_a_target_or_is_given_one() -> None:
    assert useful([MISSING, LOCKED], INSTALLED, ()) == ["collector-nats", "topology-builder"]
    assert useful([MISSING, HERE, LOCKED], INSTALLED, ()) == ["collector-db", "collector-nats", "topology-builder"]
    assert useful([MISSING, LOCKED], INSTALLED, {"collector-k8s", "collector-db"}) == INSTALLED


def test_every_collector_is_asked_but_that_of_our_own_nats() -> None:
    services = {each.service for each in detect({"HOME": "/nonexistent"})}
    assert {"collector-db", "collector-docker", "collector-k8s"} <= services
    assert "collector-nats" not in services
    assert "collector-nats" in {each.service for each in detect({"KGENTS__NATS__URL": "nats://host:4222"})}
