"""The file of tokens as it is now → who a request is from; what is withdrawn ends."""

import asyncio
import hmac
from collections.abc import Callable, Collection
from typing import Final

import structlog

from kgents_gateway.access.identity import Identity, Session, identity_of, identity_of_person
from kgents_gateway.access.token_file import content, words
from kgents_shared.contract.tokens import Group, Token, digest_of, entries_of

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
        self._groups: tuple[Group, ...] = ()
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

    def person(self, session: Session, now_s: float) -> Identity | None:
        """Who has logged in at the provider; None if none of their groups may do anything, or the time is over."""
        if session.until <= now_s:
            return None
        found = next((group for group in self._groups if group.name in session.groups), None)
        return identity_of_person(session, found) if found is not None else None

    def known(self, groups: Collection[str]) -> tuple[str, ...]:
        """Those of these groups that the file names."""
        return tuple(group.name for group in self._groups if group.name in groups)

    def has(self, identity: Identity, now_s: float) -> bool:
        """Whether a token, or a login, is accepted still, and may do the same."""
        if isinstance(identity.proof, Session):
            return self.person(identity.proof, now_s) == identity
        return identity.proof in self._by_token

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
        entries = entries_of(found)
        self._by_token = {each: identity_of(each) for each in entries.tokens}
        self._groups = entries.groups
        self._content = found
