import pytest

from support.k8s_objects import Raw, edges, load, mapped


def test_a_claim_names_its_volume() -> None:
    found = mapped(load("claim")).entities[0]
    assert (str(found.ref), found.status) == ("volume shop/data-db-0", "running")
    assert edges(found) == [("volume", "out", "volume pvc-1d2c")]
    assert found.attributes["k8s.persistentvolumeclaim.storage.capacity"] == 10 * 2**30


def test_a_claim_without_a_volume_waits() -> None:
    found = mapped(load("claim_pending")).entities[0]
    assert (found.status, found.connections) == ("pending", [])
    assert found.attributes["k8s.persistentvolumeclaim.storage.request"] == 1_500_000_000_000


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Lost"}, ("failed", "Lost")),
        (
            {"conditions": [{"type": "FileSystemResizePending", "status": "True"}]},
            ("running", "FileSystemResizePending"),
        ),
        ({"conditions": [{"type": "Resizing", "status": "False"}]}, ("running", "")),
    ],
)
def test_a_claim_in_trouble_says_why(status: Raw, expected: tuple[str, str]) -> None:
    raw = load("claim")
    raw["status"].update(status)
    found = mapped(raw).entities[0]
    assert (found.status, found.reason) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, ("running", "Released")),
        ({"phase": "Bound"}, ("running", "")),
        ({"phase": "Failed", "reason": "VolumeFailedDelete"}, ("failed", "VolumeFailedDelete")),
    ],
)
def test_a_volume_is_what_its_phase_says(status: Raw, expected: tuple[str, str]) -> None:
    raw = load("volume")
    raw["status"].update(status)
    found = mapped(raw).entities[0]
    assert (found.status, found.reason) == expected


def test_a_volume_has_no_namespace_and_says_what_it_is() -> None:
    found = mapped(load("volume")).entities[0]
    assert str(found.ref) == "volume pvc-1d2c"
    assert found.attributes["k8s.volume.type"] == "csi"
    assert found.attributes["kgents.k8s.persistentvolume.csi.volume_handle"] == "vol-0abc"


def test_an_autoscaler_scales_its_target() -> None:
    found = mapped(load("autoscaler")).entities[0]
    assert edges(found) == [("scales", "out", "deployment shop/cart")]
    assert (found.status, found.reason) == ("running", "TooManyReplicas")
    assert found.attributes["k8s.hpa.max_pods"] == 10


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric"}, "pending"),
        ({"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled"}, "running"),
        ({"type": "AbleToScale", "status": "False", "reason": "FailedGetScale"}, "pending"),
    ],
)
def test_an_autoscaler_that_cannot_scale_waits(condition: Raw, expected: str) -> None:
    raw = load("autoscaler")
    raw["status"]["conditions"] = [condition]
    found = mapped(raw).entities[0]
    assert (found.status, found.reason) == (expected, condition["reason"])


def test_an_autoscaler_at_its_minimum_has_nothing_to_say() -> None:
    raw = load("autoscaler")
    raw["status"]["conditions"] = [{"type": "ScalingLimited", "status": "True", "reason": "TooFewReplicas"}]
    assert mapped(raw).entities[0].reason == ""
