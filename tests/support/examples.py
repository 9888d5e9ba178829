"""The golden messages under tests/contract/examples, by signal: real in shape, one for each variant."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "contract" / "examples"

EXAMPLES = [
    pytest.param(path.parent.name, path.read_bytes(), id=f"{path.parent.name}-{path.stem}")
    for path in sorted(FOLDER.glob("*/*.json"))
]
"""(signal, payload) for `parametrize`. A new case is one more file."""
