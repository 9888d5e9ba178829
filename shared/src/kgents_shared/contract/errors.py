"""Every error that a caller may handle separately, and what to do about each.

KgentsError
├── ConfigError              a person must act before the start: exit code 78
├── NotFoundError            no entity, or more than one, has the name that was asked for
├── MalformedMessageError    dead-letter the message; a retry cannot help
│   └── UnknownTypeError     a newer peer wrote it: pass over it
├── BusError                 NATS answered with a refusal, or not at all
│   ├── BusTimeoutError      no answer within the deadline: retry
│   │   └── NoServerError    no program listens where NATS is expected: start one, or name another
│   ├── NoArchiveError       no archiver answers, or it cannot: start one, or go without
│   └── ProvisionError       the server cannot carry our streams as it is: a person must act
└── SteppedDownError         another instance writes here now: stop writing, wait as a standby
"""

from collections.abc import Iterable


class KgentsError(Exception):
    """The root of every error that kgents raises on purpose."""


class ConfigError(KgentsError):
    """The configuration cannot be used. Holds every fault found, so that one run is enough to fix them all."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults: tuple[str, ...] = tuple(faults)
        super().__init__("\n".join(self.faults))


class NotFoundError(KgentsError):
    """No entity, or more than one, has the name that was asked for. The text names the nearest ones."""


class RecordingError(KgentsError):
    """The file is no recording, or not a whole one. Nothing that runs knows more of it."""


class MalformedMessageError(KgentsError):
    """A message that its contract does not allow. It stays malformed however often it is delivered."""


class UnknownTypeError(MalformedMessageError):
    """A message of a type that this version does not know: a newer peer wrote it, and it is of no use here."""


class BusError(KgentsError):
    """NATS refused a request. `code` is JetStream's numeric error code, 0 when it gave none."""

    def __init__(self, message: str, *, code: int = 0) -> None:
        self.code = code
        super().__init__(message)


class BusTimeoutError(BusError):
    """No answer within the deadline; the request may or may not have been carried out."""


class DecidedError(BusError):
    """Someone else has decided since that was read which a decision replaces. It is not stored."""


class NoServerError(BusTimeoutError):
    """No program listens at any of the configured urls."""


class NoArchiveError(BusError):
    """The archive does not answer. The streams still do, as far back as they reach."""


class ProvisionError(BusError):
    """The server cannot carry our streams: too old, no JetStream, or a change that would lose data."""


class SteppedDownError(KgentsError):
    """Another instance writes the same subjects. To continue would fork history, so the writer stops."""
