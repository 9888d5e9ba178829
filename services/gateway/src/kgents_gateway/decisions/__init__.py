"""What people decide about alerts through the gateway, as data: checked, stored, and noted. All else it only reads."""

from typing import Any, Final

from kgents_gateway.decisions import acknowledge, silence
from kgents_gateway.decisions.decision import Decision

DECISIONS: Final[tuple[Decision[Any, Any], ...]] = (*acknowledge.DECISIONS, *silence.DECISIONS)
"""Every decision."""
