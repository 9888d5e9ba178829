"""Docker: what stops by itself, what is stopped, and what is started again and again."""

import pytest

from support.story import Story, critical, warning
from support.story_docker import container, uses

pytestmark = pytest.mark.scenarios

MIB = 1024**2
WEB = "container web"


def test_docker_stop_raises_nothing() -> None:
    story = Story()
    story.at("0s", container("web"))
    story.at("10m", container("web", "exited", started="before", exit_code=143, ended_s=0))
    story.expect(until="30m")


def test_a_container_that_fails_and_is_started_by_hand() -> None:
    story = Story()
    story.at("0s", container("web", policy="no"))
    story.at("10m", container("web", "exited", started="before", exit_code=1, ended_s=0, policy="no"))
    story.at("20m", container("web", policy="no"))
    story.expect(critical("KG-001", WEB, "10m", "20m"), until="30m")


def test_a_container_near_its_memory_limit() -> None:
    story = Story()
    story.at("0s", container("web", memory_limit=100 * MIB))
    story.at("10m", uses("web", memory=90 * MIB))
    story.at("20m", uses("web", memory=50 * MIB))
    story.expect(warning("KG-101", WEB, "10m10s", "20m20s"), until="30m")
