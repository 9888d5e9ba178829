"""When a writer that is not at work is reported, and when not again."""

from kgents_cli.silence import Silences
from kgents_shared.contract.attestation import BUILDER, SCORER, Scopes
from kgents_shared.contract.unread import Unread
from support.build import NOW

ALL = Unread(since=NOW, reason="no heartbeat")
PODS = Unread(kind="pod", reason="too large")
NODES = Unread(kind="node", reason="too large")


def texts(silences: Silences, silent: Scopes) -> list[str]:
    return [f"{level}: {text}" for level, text in silences.changes(silent)]


def test_a_silence_is_reported_once_and_so_is_its_end() -> None:
    silences = Silences()
    (begun,) = texts(silences, {("prod", BUILDER): [ALL]})
    assert begun.startswith("unknown: topology-builder of cluster prod does not keep anything up to date since ")
    assert texts(silences, {("prod", BUILDER): [ALL]}) == []
    assert texts(silences, {}) == ["healthy: topology-builder of cluster prod keeps all of it up to date again"]
    assert texts(silences, {}) == []


def test_each_service_of_each_cluster_is_reported() -> None:
    silences = Silences()
    keys = [("prod", BUILDER), ("lab", BUILDER), ("lab", SCORER)]
    assert len(texts(silences, {key: [ALL] for key in keys})) == 3
    assert [text.split(" keeps")[0] for text in texts(silences, {keys[0]: [ALL], keys[1]: [ALL]})] == [
        "healthy: health-scorer of cluster lab"
    ]


def test_a_part_is_named_and_another_part_is_no_news_but_everything_is() -> None:
    silences = Silences()
    key = ("prod", SCORER)
    assert texts(silences, {key: [PODS, NODES]}) == [
        "unknown: health-scorer of cluster prod does not keep pod and 1 more up to date: too large"
    ]
    assert texts(silences, {key: [NODES]}) == []
    (worse,) = texts(silences, {key: [NODES, ALL]})
    assert worse.endswith("Z: no heartbeat")
    assert texts(silences, {key: [PODS]}) == []
    assert len(texts(silences, {})) == 1
