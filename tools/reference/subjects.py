"""The subject grammar and the streams → docs/reference/subjects.md."""

from typing import Final

from kgents_shared.contract import subjects
from kgents_shared.contract.meta import HEARTBEAT_TTL_S
from kgents_shared.contract.streams import DAY_S, REMOVAL_TTL_S, Stream
from reference.markdown import code, page, table
from reference.signals import SIGNALS, STREAMS, TOKENS, example

_ESCAPED: Final = ("cart-7f", "kube-root-ca.crt", "10.0.3.7:5432", "größe", "", "_")
_HOUR_S: Final = 3600


def document() -> str:
    """One row for each signal, one for each token, and the rule by which a value becomes a token."""
    return page(
        "Subjects",
        "Every message stands on a subject of this grammar, in the one stream that captures it. The number of tokens "
        "of a signal never changes: wildcards, permissions and partitions count them.",
        table(
            ("signal", "says", "subject", "stream", "kept", "written by", "read by", "example"),
            (_row(signal) for signal in subjects.FIELDS),
        ),
        f"A removal (`op: remove`) stays readable for {REMOVAL_TTL_S // DAY_S} days for a consumer that was stopped. "
        f"The server drops a heartbeat {HEARTBEAT_TTL_S} seconds after it was sent, and stores a marker. "
        "Ages, sizes and numbers of messages are those of `kgents provision` without settings of your own.",
        "## Tokens",
        table(
            ("token", "stands for", "example"),
            ((code(name), token.meaning, code(token.example)) for name, token in TOKENS.items()),
        ),
        "## Escaping",
        "A token is its value with every byte outside `A-Z a-z 0-9 _ -` written as `=` and two hexadecimal digits. The "
        "empty value is `_`, and a value that is `_` becomes `=5F`. No two values share a token. A token longer than "
        f"{subjects.MAX_TOKEN_CHARS} characters is cut and ends in `==` and a hash: it cannot be reversed, and the "
        "message's body has the real name.",
        table(
            ("value", "token"),
            ((code(value) or "(empty)", code(subjects.escape(value))) for value in _ESCAPED),
        ),
    )


def _row(signal: str) -> tuple[str, ...]:
    stream = STREAMS[signal]
    grammar = ".".join((subjects.ROOT, signal, *(f"<{field}>" for field in subjects.FIELDS[signal])))
    return (
        signal,
        SIGNALS[signal].says,
        code(grammar),
        code(stream.name),
        _kept(stream),
        ", ".join(SIGNALS[signal].writers),
        ", ".join(SIGNALS[signal].readers),
        code(example(signal)),
    )


def _kept(stream: Stream) -> str:
    """Retention: by age and size in a log, by number of messages per subject in a state stream."""
    if stream.max_age_s:
        days, hours = stream.max_age_s // DAY_S, stream.max_age_s // _HOUR_S
        return f"{f'{days} d' if days else f'{hours} h'}, at most {stream.max_bytes // 1024**2} MiB"
    count = stream.max_msgs_per_subject
    return f"the last {count} of each subject" if count > 1 else "the last of each subject"
