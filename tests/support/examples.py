"""The golden messages under tests/contract/examples: real in shape, at least one for each variant of each signal."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "contract" / "examples"

EXAMPLES = {
    f"{path.parent.name}-{path.stem}": (path.parent.name, path.read_bytes()) for path in sorted(FOLDER.glob("*/*.json"))
}
"""Name → signal and payload, for `parametrize`. A new case is one more file."""
