"""A NATS filter below `kgents.` → the signals it spans, with the part of each. Pure."""

from kgents_cli.suggestion import did_you_mean
from kgents_shared.contract.subjects import FIELDS, ROOT


def signals(filter_: str) -> dict[str, str]:
    """Signal → the filter in that signal's own number of tokens.

    Raises:
        ValueError: it takes no subject of ours.
    """
    root, *wanted = filter_.split(".")
    if root not in (ROOT, "*") or not wanted:
        raise ValueError(f"expected a filter below {ROOT}., such as {ROOT}.topology.>, found {filter_!r}")
    found = {signal: tokens for signal in FIELDS if (tokens := _tokens(wanted, signal))}
    if not found:
        raise ValueError(_advice(filter_, wanted[0]))
    return {signal: ".".join((ROOT, signal, *tokens)) for signal, tokens in found.items()}


def _tokens(wanted: list[str], signal: str) -> list[str]:
    """The filter's tokens behind the signal, with `>` written out; empty if the filter does not fit."""
    count = len(FIELDS[signal])
    if wanted[0] == ">":
        return ["*"] * count
    if wanted[0] not in (signal, "*"):
        return []
    tokens = wanted[1:]
    if tokens and tokens[-1] == ">" and len(tokens) <= count:
        tokens = [*tokens[:-1], *["*"] * (count - len(tokens) + 1)]
    return tokens if len(tokens) == count and all(tokens) and ">" not in tokens else []


def _advice(filter_: str, signal: str) -> str:
    if signal not in FIELDS:
        return f"no signal {signal!r} in {filter_!r}; {did_you_mean(signal, FIELDS)}"
    shape = ".".join(f"<{field}>" for field in FIELDS[signal])
    return f"expected {ROOT}.{signal}.{shape} with * for any token, or > at its end, found {filter_!r}"
