"""Seven shortcuts of the delivery protocol, each one line of `decide`: a model that lets one pass is worth nothing."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from kgents_alert_notifier.delivery import decide

MUTANTS: Final = {
    "no intent": (
        "    return Write(intended(known, desired.revision), desired)\n",
        "    return Send(desired, now_s + DEADLINE_S, may_repeat=known.unconfirmed > 0)\n",
    ),
    "the successor does not wait for the deadline": (
        "    if notice.sending and now_s < found_s + DEADLINE_S:\n",
        "    if False:\n",
    ),
    "the sender ignores its deadline": (
        "        if now_s + REQUEST_S > own.deadline_s:\n",
        "        if False:\n",
    ),
    "the end is skipped while the opening is in doubt": (
        "    if desired.is_over and not notice.delivered and not notice.unconfirmed:\n",
        "    if desired.is_over and not notice.delivered:\n",
    ),
    "a doubt is forgotten at a 429": (
        "            return msgspec.structs.replace(notice, sending=0, failure=why)\n",
        "            return msgspec.structs.replace(notice, sending=0, unconfirmed=0, failure=why)\n",
    ),
    "a key for each request": (
        "    return incident\n",
        "    key.calls = getattr(key, 'calls', 0) + 1\n    return f'{incident}.{key.calls}'\n",
    ),
    "confirmed before the request": (
        "    return msgspec.structs.replace(notice, sending=revision, tries=notice.tries + 1)\n",
        "    return msgspec.structs.replace(notice, sending=revision, delivered=revision)\n",
    ),
}
"""What it does wrong → the line, and what stands there instead."""


def mutant(name: str) -> ModuleType:
    """The protocol with that fault."""
    old, new = MUTANTS[name]
    assert decide.__file__ is not None
    source = Path(decide.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1, f"adapt the mutant {name!r}: its line has changed"
    module = ModuleType(f"{decide.__name__} ({name})")
    sys.modules[module.__name__] = module
    exec(compile(source.replace(old, new), f"<{name}>", "exec"), module.__dict__)  # noqa: S102 - our own source
    return module
