"""`python -m tests.bench [NAME…]` from the repository's root; see command.py."""

import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest's pythonpath does: `bench` and `support` import
sys.exit(import_module("bench.command").main())
