"""The file of tokens as it is now → who a request is from; what is withdrawn ends."""

import asyncio
import hmac
from collections.abc import Callable
from typing import Final

import structlog

from kgents_gateway.access.identity import Identity, identity_of
from kgents_gateway.access.token_file import content, words
from kgents_shared.contract.tokens import Token, digest_of, tokens_of

READ_EVERY_S: Final = 2.0
"""So long may a token still be accepted after it was taken out of the file, and a stream of it go on."""
TOKEN_CHARS_MAX: Final = 256

_log = structlog.get_logger(__name__)


class Tokens:
    """The tokens that are accepted. `run` must be running."""

    def __init__(self, path: str) -> None:
        """The file must be one that `read` accepts.

        Raises:
            MalformedTokensError, OSError: it is none.
        """
        self._path = path
        self._content = ""
        self._fault = ""
        self._by_token: dict[Token, Identity] = {}
        self._take(content(path))

    @property
    def fault(self) -> str:
        """Why the file is not used as it is now; empty: it is."""
        if not self._fault:
            return ""
        return f"expected a readable file of tokens, found {self._path}: {self._fault}; the tokens stay as they were"

    def identity(self, presented: str) -> Identity | None:
        """Who has a token; None if it is not accepted. Takes as long whichever token it is, or is not."""
        if len(presented) > TOKEN_CHARS_MAX:
            return None
        digest, found = digest_of(presented), None
        for token, identity in self._by_token.items():
            if hmac.compare_digest(token.digest, digest):
                found = identity
        return found

    def has(self, identity: Identity) -> bool:
        """Whether a token is accepted still, and may do the same."""
        return identity.token in self._by_token

    async def run(self, after_reading: Callable[[], None]) -> None:
        """Read the file again and again. Never returns."""
        while True:
            await asyncio.sleep(READ_EVERY_S)
            await self.refresh()
            after_reading()

    async def refresh(self) -> None:
        """Use the file as it is now, or go on with what it was if it cannot be read."""
        try:
            found = await asyncio.to_thread(content, self._path)
            if found != self._content:
                self._take(found)
                _log.info("tokens_read", file=self._path, tokens=len(self._by_token))
            fault = ""
        except (OSError, ValueError) as error:
            fault = words(error)
        if fault and fault != self._fault:
            _log.error("tokens_not_read", file=self._path, error=fault)
        self._fault = fault

    def _take(self, found: str) -> None:
        self._by_token = {each: identity_of(each) for each in tokens_of(found)}
        self._content = found
