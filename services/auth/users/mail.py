"""Mail on its way out: in the background, so that an answer takes the same time whether a mail is sent or not.

No failure of a mail changes what a page answers. It is counted and logged, without the recipient and the text: a mail
to an address and a code together are a key to somebody's account.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime, make_msgid
from typing import Protocol

import aiosmtplib
import structlog
from prometheus_client import CollectorRegistry, Counter

from services.auth.settings import MailSettings
from services.common.tasks import running

log = structlog.get_logger()

SMTP_SECONDS = 10.0  # for each step: connect, greet, log in, hand over
SEND_SECONDS = 30.0  # for a mail as a whole
QUEUE_SIZE = 1000
DRAIN_SECONDS = 10.0
FAILED = ("failed", "refused", "dropped")


class Mailer(Protocol):
    """Sends one mail, or raises."""

    can_send: bool  # whether a mail can reach anybody; where none can, sign-up is refused with a sentence

    async def send(self, to: str, subject: str, text: str) -> None:
        """Hand the mail over. Raises ValueError for what is no address, and what the transport raises."""


class SmtpMailer:
    """Hands mail to an SMTP server, one connection a mail. With TLS the server's certificate is verified."""

    can_send = True

    def __init__(self, settings: MailSettings, *, tls_context: ssl.SSLContext | None = None) -> None:
        """Take the settings, and a context that trusts other authorities than the system's."""
        self._settings = settings
        self._context = tls_context or ssl.create_default_context()

    async def send(self, to: str, subject: str, text: str) -> None:
        """Hand the mail over. Raises ValueError, SMTPException, OSError, TimeoutError."""
        message = make_message(self._settings.mail_from, to, subject, text)
        settings = self._settings
        secured = settings.smtp_tls != "none"
        async with asyncio.timeout(SEND_SECONDS):
            await aiosmtplib.send(
                message,
                hostname=settings.smtp_host,
                port=settings.smtp_port,
                username=settings.smtp_user or None,
                password=settings.smtp_password.get_secret_value() or None if settings.smtp_user else None,
                use_tls=settings.smtp_tls == "tls",
                start_tls=settings.smtp_tls == "starttls",
                tls_context=self._context if secured else None,
                timeout=SMTP_SECONDS,
            )


class ConsoleMailer:
    """Writes mail to the log, codes and all; settings allow it in development alone."""

    can_send = True

    def __init__(self, settings: MailSettings) -> None:
        """Refuse to exist where somebody else may read the log. Raises ValueError."""
        if settings.environment != "development":
            raise ValueError("mail is written to the log in development alone")

    async def send(self, to: str, subject: str, text: str) -> None:
        """Log it."""
        log.info("mail_sent", to=to, subject=subject, text=text)


class NullMailer:
    """No mail can leave; to send one is an error, for nobody should have asked."""

    can_send = False

    async def send(self, to: str, subject: str, text: str) -> None:
        """Say so. Raises RuntimeError."""
        del to, subject, text
        raise RuntimeError("no mail can leave: MAILER=none")


def make_mailer(settings: MailSettings) -> Mailer:
    """The one that MAILER names."""
    if settings.mailer == "smtp":
        return SmtpMailer(settings)
    return ConsoleMailer(settings) if settings.mailer == "console" else NullMailer()


def make_message(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    """A plain text mail. Raises ValueError for an address or a subject that would become something else.

    The library refuses line breaks in headers.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = _address(to)
    message["Subject"] = subject
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].rstrip("> ") or "localhost")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(text)
    return message


def _address(text: str) -> Address:
    """One address, to the last character: `(x)ann@isp.test` and `ann@isp.test, bob@isp.test` are none."""
    try:
        address = Address(addr_spec=text)
    except (ValueError, MessageError, IndexError):  # of the library's parser; they quote the text
        raise ValueError("no address of one mailbox") from None
    if address.addr_spec != text:
        raise ValueError("no address of one mailbox")
    return address


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail that waits. It is not shown in a log by accident."""

    to: str
    subject: str
    text: str

    def __repr__(self) -> str:
        return "Mail(…)"


class Outbox:
    """Mails that wait in memory, in order; `post` never waits and never fails.

    One that does not fit is dropped and counted. What is still waiting when the process is killed is lost: whoever
    waits for a code asks for another.
    """

    def __init__(self, mailer: Mailer, registry: CollectorRegistry, *, size: int = QUEUE_SIZE) -> None:
        self._mailer = mailer
        self._queue: asyncio.Queue[Mail] = asyncio.Queue(size)
        self._ending = False
        self._mails = Counter("mails_total", "Mails by what became of them", ["result"], registry=registry)
        for result in ("sent", *FAILED):
            self._mails.labels(result)

    @property
    def can_send(self) -> bool:
        """Whether mail can leave at all."""
        return self._mailer.can_send

    def post(self, to: str, subject: str, text: str) -> None:
        """Have it sent soon."""
        if self._ending or self._queue.full():
            self._mails.labels("dropped").inc()
            log.warning("mail_dropped", waiting=self._queue.qsize())
        else:
            self._queue.put_nowait(Mail(to, subject, text))

    async def run(self) -> None:
        """Send what is posted, one after the other, until cancelled."""
        while True:
            await self._send(await self._queue.get())
            self._queue.task_done()

    async def drain(self) -> None:
        """Take no more, and wait until what was taken is sent."""
        self._ending = True
        await self._queue.join()

    def give_up(self) -> None:
        """Count what waits as dropped, once nobody sends any more."""
        waiting = self._queue.qsize()
        self._mails.labels("dropped").inc(waiting)
        log.warning("mails_given_up", waiting=waiting)

    async def _send(self, mail: Mail) -> None:
        result = "dropped"  # if it is given up
        try:
            await self._mailer.send(mail.to, mail.subject, mail.text)
            result = "sent"
        except Exception as error:  # noqa: BLE001 - nothing about one mail ends the sending of the next
            result = "refused" if _status(error) else "failed"
            # its text may quote the recipient, and its traceback's frames hold the code
            log.warning("mail_not_sent", result=result, error=type(error).__name__, status=_status(error))
        finally:
            self._mails.labels(result).inc()


def _status(error: Exception) -> int | None:
    """The server's reply code (RFC 5321, 4.2.1), if it was the server that refused."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return error.recipients[0].code if error.recipients else None
    return error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None


@asynccontextmanager
async def open_outbox(mailer: Mailer, registry: CollectorRegistry, *, size: int = QUEUE_SIZE) -> AsyncGenerator[Outbox]:
    """An outbox that sends while the block lasts, then so long as DRAIN_SECONDS says."""
    outbox = Outbox(mailer, registry, size=size)
    late = False
    async with running(outbox.run, "outbox"):
        try:
            yield outbox
        finally:
            try:
                async with asyncio.timeout(DRAIN_SECONDS):
                    await outbox.drain()
            except TimeoutError:
                late = True
    if late:
        outbox.give_up()
