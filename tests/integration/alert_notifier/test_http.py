"""What a failed request means: certainly not delivered, or in doubt. Each over a real socket."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kgents_alert_notifier.delivery.outcome import InDoubt, NotSent, Refused
from kgents_alert_notifier.receivers.http import Answer, Failure, Http, retry_after_s
from support.certificates import Certificates
from support.http_stand_in import Fault, Got, Reply, StandIn
from support.ports import free_port
from support.waiting import MACHINE, lasting_at_most

SECRET = "T0000-B0000-canary"


def ok(_: Got) -> Reply:
    return Reply(body=b"ok")


async def post(url: str, *, deadline_s: float = 5.0) -> Answer | Failure:
    http = Http()
    try:
        return await http.request("POST", f"{url}/{SECRET}", body=b"{}", headers={}, deadline_s=deadline_s)
    finally:
        await http.close()


async def after(fault: Fault, **options: float) -> Answer | Failure:
    async with StandIn(ok) as server:
        server.faults = [fault]
        return await post(server.url, **options)


async def test_a_complete_answer_is_one() -> None:
    async with StandIn(ok) as server:
        assert await post(server.url) == Answer(200, b"ok")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 307, 301])
async def test_a_code_that_stays_is_refused_and_a_redirect_is_not_followed(status: int) -> None:
    async with StandIn(ok) as elsewhere, StandIn(ok) as server:
        server.faults = [Fault("reply", Reply(status, headers={"Location": elsewhere.url}))]
        assert await post(server.url) == Refused(f"HTTP {status}")
        assert elsewhere.got == []


@pytest.mark.parametrize("status", [408, 409, 425, 429])
async def test_a_code_that_passes_is_certainly_not_delivered(status: int) -> None:
    found = await after(Fault("reply", Reply(status, headers={"Retry-After": "7"})))
    assert found == NotSent(f"HTTP {status}", 7.0)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_fault_of_the_server_is_in_doubt(status: int) -> None:
    assert await after(Fault("reply", Reply(status))) == InDoubt(f"HTTP {status}")


@pytest.mark.parametrize("how", ["reset", "half"])
async def test_a_connection_that_breaks_is_in_doubt(how: str) -> None:
    found = await after(Fault(how))
    assert isinstance(found, InDoubt)
    assert SECRET not in found.why


async def test_a_server_that_hangs_is_left_at_the_deadline_and_in_doubt() -> None:
    with lasting_at_most(2.0):
        assert await after(Fault("hang"), deadline_s=MACHINE.limit_s(0.3)) == InDoubt("no answer within the deadline")


async def test_a_closed_port_and_an_unknown_host_are_certain() -> None:
    assert await post(f"http://127.0.0.1:{free_port()}") == NotSent("cannot connect: ConnectError")
    assert await post("http://no-such-host.invalid") == NotSent("cannot connect: ConnectError")


async def test_a_certificate_that_is_not_trusted_or_has_expired_is_certain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = Certificates(tmp_path)
    async with StandIn(ok, tls=certificates.server_context()) as server:
        assert await post(server.url) == NotSent("cannot connect: ConnectError")  # by whom is it signed?
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
        assert await post(server.url) == Answer(200, b"ok")
    certificates.server, certificates.server_key = certificates.issue(
        "expired",
        "127.0.0.1",
        not_after=datetime.now(UTC) - timedelta(days=1),
    )
    async with StandIn(ok, tls=certificates.server_context()) as server:
        assert await post(server.url) == NotSent("cannot connect: ConnectError")
        assert server.got == []


@pytest.mark.parametrize("url", ["", "ftp://host", "not a url"])
async def test_what_is_no_url_is_refused_and_not_quoted(url: str) -> None:
    found = await post(url)
    assert isinstance(found, Refused)
    assert SECRET not in found.why


async def test_an_answer_without_end_is_not_read() -> None:
    found = await after(Fault("reply", Reply(200, b"x" * 2 * 1024**2)))
    assert found == InDoubt("answer too large")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("86400", 3_600.0),
        ("999999999999999999999999", 3_600.0),
        ("Sun, 29 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 29 Nov 2026 11:00:00 GMT", 1.0),
        ("Mon, 29 Nov 2027 11:00:00 GMT", 3_600.0),
        ("-5", None),
        ("0.5", None),
        ("1e9", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_pause_is_seconds_or_a_date_and_within_an_hour(given: str, seconds: float | None) -> None:
    headers = {"retry-after": given, "date": "Sun, 29 Nov 2026 12:00:00 GMT"}
    assert retry_after_s(headers) == seconds


async def test_no_failure_names_the_address() -> None:
    for fault in (Fault("reset"), Fault("half"), Fault("reply", Reply(404)), Fault("reply", Reply(500))):
        found = await after(fault)
        assert not isinstance(found, Answer)
        assert SECRET not in repr(found)
