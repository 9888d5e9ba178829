"""A real SMTP server (aiosmtpd) that fails as asked, at the command that is named."""

import asyncio
import ssl
from email import message_from_bytes
from email.message import Message
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from support.ports import free_port


class MailServer:
    """`with MailServer() as server`; mails that it took are in `mails`."""

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, implicit: bool = False, login: tuple[str, str] | None = None
    ) -> None:
        self.mails: list[tuple[str, Message]] = []
        """The recipient of the envelope, and the mail."""
        self.answers: dict[str, str] = {}
        """Command → what it is answered with instead; `cut`: the connection breaks once it has the mail."""
        self.port = free_port()
        self._login = login
        options: dict[str, Any] = {"hostname": "127.0.0.1", "port": self.port}
        if login is not None:
            options |= {"authenticator": self._authenticated, "auth_require_tls": tls is not None and not implicit}
            options |= {"auth_required": True}
        if tls is not None:
            options |= {"ssl_context": tls} if implicit else {"tls_context": tls, "require_starttls": True}
        self._controller = Controller(self, **options)

    def __enter__(self) -> "MailServer":
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def _authenticated(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._login, handled=False)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if "RCPT" not in self.answers:
            envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        assert isinstance(envelope.content, bytes)
        answer = self.answers.get("DATA", "250 OK")
        if answer.startswith("250") or answer in ("cut", "hang"):
            self.mails += [(each, message_from_bytes(envelope.content)) for each in envelope.rcpt_tos]
        if answer == "cut":
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        if answer == "hang":
            await asyncio.sleep(30)
        return answer
