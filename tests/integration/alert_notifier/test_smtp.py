"""E-mail against a real SMTP server: encrypted or not at all, and what each failure means."""

from collections.abc import Iterator
from email.header import decode_header, make_header
from pathlib import Path

import pytest

from kgents_alert_notifier.delivery.outcome import Delivered, InDoubt, NotSent, Outcome, Refused
from kgents_alert_notifier.message.facts import Facts
from kgents_alert_notifier.receiver_config import ReceiverConfig, SmtpReceiver
from kgents_alert_notifier.receivers.make import make, names_of
from kgents_alert_notifier.receivers.smtp import Smtp
from kgents_shared.bus.config import Secret
from kgents_shared.runtime.clock import SystemClock
from support.certificates import Certificates
from support.incident_facts import facts, incident, resolved
from support.mail_server import MailServer
from support.ports import free_port
from support.waiting import MACHINE

TO = "ops@example.com"


@pytest.fixture
def certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    found = Certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(found.ca))
    return found


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as found:
        yield found


def smtp(port: int, *, tls: str = "none", **options: object) -> Smtp:
    config = SmtpReceiver(host="127.0.0.1", port=port, tls=tls, sender="kgents@example.com", to=[TO], **options)  # type: ignore[arg-type]  # the literals of `tls`
    return Smtp(config, TO)


async def send(receiver: Smtp, what: Facts | None = None, *, deadline_s: float = 5.0) -> Outcome:
    return await receiver.send(what or facts(), "key", {}, deadline_s)


async def test_mails_of_an_incident_are_one_thread_and_a_try_keeps_its_id(server: MailServer) -> None:
    receiver = smtp(server.port)
    assert await send(receiver) == Delivered()
    assert await send(receiver, facts(may_repeat=True)) == Delivered()
    growth = facts(incident(revision=2, affected_count=40), known_revision=1, known_state="open")
    assert await send(receiver, growth) == Delivered(is_requested=False)
    assert await send(receiver, facts(resolved(), known_revision=2, known_state="open")) == Delivered()
    opened, again, ended = [mail for _, mail in server.mails]
    assert opened["Message-ID"] == again["Message-ID"] != ended["Message-ID"]
    assert opened["References"] == ended["References"] == ended["In-Reply-To"]
    assert str(make_header(decode_header(ended["Subject"]))).startswith("RESOLVED: pod shop/cart-7f")
    assert ended["Auto-Submitted"] == "auto-generated"
    assert "may be a repeat" in str(again.get_payload()).replace("=\n", "")


async def test_a_line_break_in_a_name_stops_no_mail(server: MailServer) -> None:
    title = "evil\r\nBcc: all@example.com\r\n\r\n" + "ä" * 500
    assert await send(smtp(server.port), facts(incident(title=title))) == Delivered()
    ((_, mail),) = server.mails
    assert mail["Bcc"] is None
    assert "evil Bcc" in str(make_header(decode_header(mail["Subject"])))


async def test_a_server_without_starttls_gets_no_mail(server: MailServer) -> None:
    found = await send(smtp(server.port, tls="starttls"))
    assert found == Refused("the server does not offer STARTTLS")
    assert server.mails == []


async def test_mail_goes_over_starttls_with_a_login(certificates: Certificates, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("old-canary\n")
    with MailServer(tls=certificates.server_context(), login=("ada", "new-canary")) as server:
        receiver = smtp(server.port, tls="starttls", user="ada", password=Secret(password))
        before = receiver.secrets()
        found = await send(receiver)
        assert isinstance(found, Refused)
        assert "canary" not in found.why
        password.write_text("new-canary\n")
        assert receiver.secrets() != before
        assert await send(receiver) == Delivered()
        assert [to for to, _ in server.mails] == [TO]


async def test_mail_goes_over_implicit_tls(certificates: Certificates) -> None:
    with MailServer(tls=certificates.server_context(), implicit=True) as server:
        assert await send(smtp(server.port, tls="implicit")) == Delivered()


async def test_a_certificate_that_is_not_trusted_gets_no_mail(tmp_path: Path) -> None:
    with MailServer(tls=Certificates(tmp_path).server_context()) as server:
        assert isinstance(await send(smtp(server.port, tls="starttls")), NotSent)
        assert server.mails == []


@pytest.mark.parametrize(
    ("command", "answer", "expected"),
    [
        ("MAIL", "451 later", NotSent("SMTP 451")),
        ("MAIL", "550 no", Refused("SMTP 550")),
        ("RCPT", "450 greylisted", NotSent("SMTP 450")),
        ("RCPT", "550 no such user", Refused("SMTP 550")),
        ("DATA", "452 full", NotSent("SMTP 452")),
        ("DATA", "554 spam", Refused("SMTP 554")),
    ],
)
async def test_codes_say_whether_another_try_may_help(
    server: MailServer, command: str, answer: str, expected: Outcome
) -> None:
    server.answers[command] = answer
    assert await send(smtp(server.port)) == expected
    assert server.mails == []


@pytest.mark.parametrize("how", ["cut", "hang"])
async def test_a_connection_that_ends_after_the_text_is_in_doubt(server: MailServer, how: str) -> None:
    server.answers["DATA"] = how
    assert isinstance(await send(smtp(server.port), deadline_s=MACHINE.limit_s(1)), InDoubt)
    assert len(server.mails) == 1


async def test_a_closed_port_is_certain() -> None:
    assert isinstance(await send(smtp(free_port())), NotSent)


async def test_each_address_is_a_receiver_of_its_own() -> None:
    config = ReceiverConfig(
        smtp=SmtpReceiver(host="h", sender="k@example.com", to=[TO, "dev@example.com"], tls="starttls")
    )
    names = names_of("mail", config)
    assert len(set(names)) == 2
    assert list(make("mail", config, SystemClock().now)) == names
    assert all(each.startswith("mail:") and "@" not in each for each in names)
