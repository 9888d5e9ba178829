"""How often Python's garbage collector runs in a process of ours."""

import gc


def calm_collector() -> None:
    """Let the garbage collector run less often.

    A service holds a hundred thousand messages that live long and form no cycles, and so does a command that reads as
    many; with Python's own thresholds its passes over them cost more than all other work.
    """
    gc.set_threshold(50_000, 20, 50)
