"""E-mail to one address: at least once, with one Message-ID for each revision.

One receiver for each address: of two recipients in one envelope the server may refuse one, and a retry would repeat the
mail for the other. The phases are separate here, since a connection that is lost before the mail's text is certainly
no delivery, and one that is lost after it is a doubt.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiosmtplib import SMTP, SMTPException, SMTPNotSupported, SMTPResponseException

from kgents_alert_notifier.delivery.outcome import Delivered, InDoubt, NotSearchable, NotSent, Outcome, Refused, Search
from kgents_alert_notifier.message.facts import Facts
from kgents_alert_notifier.message.mail import mail
from kgents_alert_notifier.receiver_config import SmtpReceiver
from kgents_alert_notifier.receivers.http import fingerprint

PORTS: Final = {"starttls": 587, "implicit": 465, "none": 25}
CONNECT_S: Final = 3.0


class Smtp:
    """Sends mails to one address."""

    pause_s = SmtpReceiver.pause_s

    def __init__(self, config: SmtpReceiver, to: str) -> None:
        self._config = config
        self._to = to

    async def send(self, facts: Facts, key: str, handle: Mapping[str, str], deadline_s: float) -> Outcome:
        if not facts.changes_state:
            return Delivered(is_requested=False)  # growth is no reason for another mail
        message = mail(facts, sender=self._config.sender, to=self._to).as_bytes()
        client = self._client()
        try:
            return await self._begin(client, deadline_s / 2) or await self._finish(client, message, deadline_s / 2)
        finally:
            client.close()

    async def _begin(self, client: SMTP, deadline_s: float) -> NotSent | Refused | None:
        """Everything before the text of the mail: whatever fails here, it is not delivered."""
        config = self._config
        try:
            password = config.password.reveal() if config.password is not None else ""
            async with asyncio.timeout(deadline_s):
                await client.connect()
                if config.tls == "starttls":
                    await client.ehlo()
                    if not client.supports_extension("starttls"):
                        return Refused("the server does not offer STARTTLS")
                    await client.starttls()
                if config.user is not None:
                    await client.login(config.user, password)
                await client.mail(config.sender)
                await client.rcpt(self._to)
        except SMTPNotSupported:
            return Refused("the server takes no login")
        except SMTPResponseException as error:
            return _refused(error.code)
        except (SMTPException, OSError, ValueError) as error:
            return NotSent(f"cannot connect: {type(error).__name__}")
        return None

    async def _finish(self, client: SMTP, message: bytes, deadline_s: float) -> Outcome:
        try:
            async with asyncio.timeout(deadline_s):
                await client.data(message)
        except SMTPResponseException as error:
            return _refused(error.code)
        except (SMTPException, OSError) as error:
            return InDoubt(f"the connection failed: {type(error).__name__}")
        return Delivered()

    async def find(self, facts: Facts, handle: Mapping[str, str], deadline_s: float) -> Search:
        return NotSearchable()

    def secrets(self) -> str:
        return fingerprint(self._config.password)

    async def close(self) -> None:
        """Each mail has a connection of its own."""

    def _client(self) -> SMTP:
        config = self._config
        return SMTP(
            hostname=config.host,
            port=config.port or PORTS[config.tls],
            use_tls=config.tls == "implicit",
            start_tls=False,  # `_begin` requires it where it is configured; the default would fall back to clear text
            timeout=CONNECT_S,
        )


def _refused(code: int) -> NotSent | Refused:
    return Refused(f"SMTP {code}") if code >= 500 else NotSent(f"SMTP {code}")
