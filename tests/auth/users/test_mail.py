"""Mail over a real SMTP conversation: secured or not sent, to one mailbox, and never told about in a log."""

import asyncio
import json
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from aiosmtplib import SMTPException
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from services.auth.settings import MailSettings
from services.auth.users import mail as module
from services.auth.users.mail import ConsoleMailer, Mail, NullMailer, SmtpMailer, make_mailer, make_message, open_outbox
from services.common.logging import configure_logging
from tests.auth.users.smtp import HOST, SECONDS, SmtpServer, certificate, smtp_server
from tests.support.servers import free_port

TO, SUBJECT, CODE = "ada@isp.test", "Your code", "7Q2MX-9KD4T"
TEXT = f"Type {CODE} — within fifteen minutes.\n.\n..two dots\n"
Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def _logging() -> None:
    configure_logging("auth", "DEBUG")


def smtp_settings(port: int, **changes: Any) -> MailSettings:
    values: dict[str, Any] = {
        "environment": "development",
        "mailer": "smtp",
        "mail_from": "Slipway <no-reply@slipway.test>",
        "smtp_host": HOST,
        "smtp_port": port,
    }
    return MailSettings(**(values | changes))


async def send(server: SmtpServer, trust: ssl.SSLContext | None = None, **changes: Any) -> None:
    async with asyncio.timeout(SECONDS):
        await SmtpMailer(smtp_settings(server.port, **changes), tls_context=trust).send(TO, SUBJECT, TEXT)


async def test_a_mail_arrives_through_starttls_with_its_login_as_it_was_written(tls: Contexts) -> None:
    server_side, trust = tls
    async with smtp_server(server_side) as server:
        await send(server, trust, smtp_user="mailer", smtp_password="secret")

    [mail] = server.mails
    assert mail.secured
    assert mail.login == "\0mailer\0secret"
    assert mail.recipients == ["<ada@isp.test>"]
    assert (mail.message["To"], mail.message["Subject"]) == (TO, SUBJECT)
    assert mail.message["From"] == "Slipway <no-reply@slipway.test>"
    assert mail.message["Message-ID"].endswith("@slipway.test>")
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["Date"].datetime.tzinfo is not None
    assert mail.message.get_content() == TEXT
    assert [line for secured, line in server.lines if not secured and not line.startswith(("EHLO", "STARTTLS"))] == []


async def test_tls_from_the_beginning_does_too(tls: Contexts) -> None:
    server_side, trust = tls
    async with smtp_server(server_side, implicit=True) as server:
        await send(server, trust, smtp_tls="tls")

    assert [mail.secured for mail in server.mails] == [True]
    assert server.mails[0].login == ""


async def test_in_development_a_mail_may_go_in_the_clear() -> None:
    async with smtp_server() as server:
        await send(server, smtp_tls="none")

    assert [mail.secured for mail in server.mails] == [False]
    with pytest.raises(ValidationError, match="in the clear"):
        smtp_settings(25, smtp_tls="none", environment="production")


async def test_a_server_without_starttls_learns_nothing() -> None:
    async with smtp_server() as server:
        with pytest.raises(SMTPException):
            await send(server, smtp_user="mailer", smtp_password="secret")

    assert {line.partition(" ")[0] for _, line in server.lines} <= {"EHLO", "STARTTLS", "QUIT"}


@pytest.mark.parametrize("implicit", [True, False])
async def test_a_server_that_does_not_prove_its_name_learns_nothing(tls: Contexts, implicit: bool) -> None:
    server_side, _ = tls
    async with smtp_server(server_side, implicit=implicit) as server:
        with pytest.raises((ssl.SSLCertVerificationError, SMTPException)):
            await send(server, smtp_tls="tls" if implicit else "starttls", smtp_user="mailer", smtp_password="secret")

    assert {line.partition(" ")[0] for _, line in server.lines} <= {"EHLO", "STARTTLS", "QUIT"}


@pytest.mark.parametrize(
    "to",
    [
        "ada@isp.test\r\nBcc: eve@isp.test",
        "ada@isp.test\nBcc: eve@isp.test",
        "ada@isp.test, eve@isp.test",
        "ada@isp.test;eve@isp.test",
        "people:ada@isp.test, eve@isp.test;",
        "Ada <ada@isp.test>",
        "<ada@isp.test>",
        "(of)ada@isp.test",
        "ada@isp.test ",
        "ada@eve@isp.test",
        "ada@isp.test\0",
        "ada\ud800@isp.test",
        "ada@",
        "@isp.test",
        "ada",
        "",
    ],
)
def test_what_is_not_one_address_gets_no_mail(to: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each its own
        make_message("no-reply@slipway.test", to, SUBJECT, TEXT)

    assert not to or to not in str(caught.value)


@pytest.mark.parametrize("subject", ["Hello\r\nBcc: eve@isp.test", "Hello\nBcc: eve@isp.test", "Hello\r\n\r\nBody"])
def test_a_subject_does_not_become_a_header_or_a_text(subject: str) -> None:
    with pytest.raises(ValueError, match=r"linefeed|carriage"):
        make_message("no-reply@slipway.test", TO, subject, TEXT)


@pytest.mark.parametrize(
    "to", ['"eve@isp.test, bob"@isp.test', '"ada\\"<eve@isp.test>"@isp.test', "a+b.c-d_e@isp.test"]
)
async def test_an_odd_address_goes_to_its_own_mailbox(to: str) -> None:
    async with smtp_server() as server:
        await SmtpMailer(smtp_settings(server.port, smtp_tls="none")).send(to, SUBJECT, TEXT)

    assert [mail.recipients for mail in server.mails] == [[f"<{to}>"]]


async def test_no_line_of_a_text_ends_the_mail_or_begins_another() -> None:
    text = "Hello\r\n.\r\nMAIL FROM:<eve@isp.test>\n.\nRCPT\r.\rQUIT\n"
    async with smtp_server() as server:
        await SmtpMailer(smtp_settings(server.port, smtp_tls="none")).send(TO, SUBJECT, text)

    assert len(server.mails) == 1
    assert server.mails[0].message.get_content().split() == text.split()
    assert [line.partition(" ")[0] for _, line in server.lines].count("MAIL") == 1


async def test_the_mailer_is_the_one_that_was_set(capsys: pytest.CaptureFixture[str]) -> None:
    console = make_mailer(MailSettings(environment="development", mailer="console"))
    assert isinstance(console, ConsoleMailer)
    assert console.can_send
    await console.send(TO, SUBJECT, TEXT)
    assert CODE in json.loads(capsys.readouterr().out)["text"]

    none = make_mailer(MailSettings(environment="production"))
    assert isinstance(none, NullMailer)
    assert not none.can_send
    assert isinstance(make_mailer(smtp_settings(25)), SmtpMailer)


def test_nobody_has_codes_written_to_the_log_of_production() -> None:
    with pytest.raises(ValidationError, match="MAILER=console"):
        MailSettings(environment="production", mailer="console")
    with pytest.raises(ValueError, match="development alone"):
        ConsoleMailer(MailSettings(environment="production"))


class Held:
    """Sends once a test lets it."""

    can_send = True

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.sent: list[str] = []

    async def send(self, to: str, subject: str, text: str) -> None:
        del subject, text
        await self.go.wait()
        self.sent.append(to)


Count = Callable[[str], float | None]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def count(registry: CollectorRegistry) -> Count:
    return lambda result: registry.get_sample_value("mails_total", {"result": result})


async def test_to_post_never_waits_and_what_does_not_fit_is_dropped_and_counted(
    registry: CollectorRegistry, count: Count
) -> None:
    mailer = Held()
    async with open_outbox(mailer, registry, size=3) as outbox:
        for number in range(5):
            outbox.post(f"{number}@isp.test", SUBJECT, TEXT)
        assert (count("sent"), count("dropped")) == (0, 2)
        mailer.go.set()

    assert mailer.sent == ["0@isp.test", "1@isp.test", "2@isp.test"]
    assert (count("sent"), count("dropped")) == (3, 2)


async def test_at_the_end_what_waits_is_sent_and_nothing_more_is_taken(
    registry: CollectorRegistry, count: Count
) -> None:
    mailer = Held()
    before = asyncio.all_tasks()
    async with open_outbox(mailer, registry) as outbox:
        for _ in range(20):
            outbox.post(TO, SUBJECT, TEXT)
        mailer.go.set()
    outbox.post(TO, SUBJECT, TEXT)
    assert asyncio.all_tasks() - before == set()

    assert len(mailer.sent) == 20
    assert (count("sent"), count("dropped")) == (20, 1)


async def test_a_mail_that_hangs_at_the_end_is_given_up_with_those_behind_it(
    registry: CollectorRegistry, count: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.05)
    before = asyncio.all_tasks()

    async with open_outbox(Held(), registry, size=4) as outbox:
        outbox.post(TO, SUBJECT, TEXT)
        await asyncio.sleep(0)  # it is taken out of the queue
        for _ in range(4):
            outbox.post(TO, SUBJECT, TEXT)

    assert (count("sent"), count("dropped")) == (0, 5)
    assert asyncio.all_tasks() - before == set()


@pytest.mark.parametrize(
    ("refusals", "status"),
    [
        ({"RCPT": f"550 no mailbox {TO} here"}, 550),
        ({"MAIL": "451 not now"}, 451),
        ({"DATA": f"554 {CODE} is spam"}, 554),
        ({"AUTH": "535 no"}, 535),
    ],
)
async def test_what_the_server_refuses_is_counted_and_logged_without_address_and_code(
    registry: CollectorRegistry,
    count: Count,
    capsys: pytest.CaptureFixture[str],
    refusals: dict[str, str],
    status: int,
) -> None:
    async with smtp_server(refusals=refusals) as server:
        settings = smtp_settings(server.port, smtp_tls="none", smtp_user="mailer", smtp_password="hush")
        async with asyncio.timeout(SECONDS), open_outbox(SmtpMailer(settings), registry) as outbox:
            outbox.post(TO, SUBJECT, TEXT)

    out = capsys.readouterr().out
    [line] = [json.loads(line) for line in out.splitlines() if "mail_not_sent" in line]
    assert (line["result"], line["status"], line["level"]) == ("refused", status, "warning")
    assert not [word for word in (TO, "ada", CODE, "hush") if word in out]
    assert (count("refused"), count("sent")) == (1, 0)


async def test_one_mail_that_fails_does_not_hold_up_the_next(
    registry: CollectorRegistry, count: Count, capsys: pytest.CaptureFixture[str]
) -> None:
    async with smtp_server() as server:
        mailer = SmtpMailer(smtp_settings(server.port, smtp_tls="none"))
        async with asyncio.timeout(SECONDS), open_outbox(mailer, registry) as outbox:
            outbox.post(f"{TO}\r\nBcc: eve@isp.test", SUBJECT, TEXT)
            outbox.post(TO, f"{CODE}\n{CODE}", TEXT)
            outbox.post(TO, SUBJECT, "\ud800")
            outbox.post(TO, SUBJECT, TEXT)

    assert (count("failed"), count("sent")) == (3, 1)
    assert [mail.recipients for mail in server.mails] == [[f"<{TO}>"]]
    out = capsys.readouterr().out
    assert out.count("mail_not_sent") == 3
    assert not [word for word in ("ada", "eve@", CODE) if word in out]


@pytest.mark.parametrize("how", ["closed", "silent"])
async def test_a_server_that_is_away_costs_its_mails_and_nothing_else(
    registry: CollectorRegistry, count: Count, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(module, "SMTP_SECONDS", 0.1)
    async with smtp_server() as server:
        server.silent = True
        port = server.port if how == "silent" else free_port()
        async with asyncio.timeout(SECONDS), open_outbox(SmtpMailer(smtp_settings(port)), registry) as outbox:
            outbox.post(TO, SUBJECT, TEXT)

    assert (count("failed"), count("sent")) == (1, 0)


async def test_where_no_mail_can_leave_none_is_counted_as_sent(registry: CollectorRegistry, count: Count) -> None:
    async with open_outbox(NullMailer(), registry) as outbox:
        assert not outbox.can_send
        outbox.post(TO, SUBJECT, TEXT)

    assert (count("failed"), count("sent")) == (1, 0)


def test_a_mail_that_waits_is_not_shown_by_accident() -> None:
    assert CODE not in repr(Mail(TO, SUBJECT, TEXT))
    assert TO not in repr(Mail(TO, SUBJECT, TEXT))
