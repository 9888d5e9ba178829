from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.docker_watched import Watched, watched


@pytest.fixture
async def docker(tmp_path: Path) -> AsyncIterator[Watched]:
    """An engine with nothing on it, and a stream."""
    async with watched(tmp_path) as found:
        yield found
