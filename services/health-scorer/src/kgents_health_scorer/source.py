"""One source of pulses of one entity: its last pulse, and a window for each figure it measures. Pure."""

from datetime import datetime, timedelta

from kgents_health_scorer.debounce import LONG_AGO, Window


class Source:
    """One source of pulses of an entity, and the last of them."""

    __slots__ = ("deadline", "evidence", "is_read", "patience", "timestamp", "uid", "windows")

    def __init__(self, uid: str, evidence: str) -> None:
        self.uid = uid
        self.evidence = evidence  # of the last pulse
        self.timestamp = LONG_AGO
        self.deadline = LONG_AGO  # silent from then on
        self.patience = timedelta(0)  # from one pulse to its deadline
        self.is_read = False  # whether a pulse said which figures there are
        self.windows: dict[str, Window] = {}  # by check

    def wait_again(self, now: datetime) -> None:
        """Give it as long for its next pulse as after any other."""
        self.deadline = max(self.deadline, now + self.patience)

    @property
    def has_lapsed(self) -> bool:
        """Whether what was found by one of its figures is not known any more."""
        return any(each.is_lapsed for each in self.windows.values())
