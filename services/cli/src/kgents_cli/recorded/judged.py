"""`kgents replay --offline`: a recording → what the services make of it, as lines or as messages on stdout."""

from pathlib import Path

from kgents_cli.output import note, say_line, say_record
from kgents_cli.recorded.offline import folded
from kgents_cli.sentence import is_departure_again, line_of, record_of
from kgents_shared.contract.recording import Recording
from kgents_shared.view.fold import Fold
from kgents_shared.view.live import row_of
from kgents_shared.view.selection import Selection


def say_judged(file: Path, until_s: float | None, *, as_json: bool) -> int:
    """Print it; in words only what changes after the beginning, and what there is in the end."""
    fold = Fold(Selection())
    with file.open("rb") as opened:
        recording = Recording(opened)
        begin_ns = recording.header.started_at.timestamp() * 1e9
        for each in folded(recording.rows(), recording.header.started_at, until_s=until_s):
            if as_json:
                say_record(record_of(each))
                continue
            fold.put(row_of(each))
            if each.time_ns > begin_ns + 1_000_000 and not is_departure_again(each.subject, each.payload):
                say_line(line_of(each))
    if not as_json:
        _sum_up(file, fold)
    return 0


def _sum_up(file: Path, fold: Fold) -> None:
    views = list(fold.entities())
    entities = [each for each in views if each.ref.kind not in ("cluster", "source")]
    levels = [each.level for each in entities]
    counts = ", ".join(f"{levels.count(level)} {level}" for level in ("critical", "warning", "unknown", "healthy"))
    note(f"{file}: {len(entities)} entities in the end: {counts}")
