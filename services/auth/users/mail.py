"""Mail on its way out: in the background, so that an answer takes the same time whether a mail is sent or not.

No failure of a mail changes what a page answers. It is counted and logged, without the recipient and the text: a mail
to an address and a code together are a key to somebody's account.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime, make_msgid
from typing import Protocol

import aiosmtplib
import structlog
from prometheus_client import CollectorRegistry, Counter

from services.auth.settings import MailSettings

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
    """No mail can leave."""

    can_send = False

    async def send(self, to: str, subject: str, text: str) -> None:
        """Say so."""
        del to, subject, text
        log.warning("mail_cannot_leave", reason="MAILER=none")


def make_mailer(settings: MailSettings) -> Mailer:
    """The one that MAILER names."""
    if settings.mailer == "smtp":
        return SmtpMailer(settings)
    return ConsoleMailer(settings) if settings.mailer == "console" else NullMailer()


def make_message(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    """A plain text mail. Raises ValueError for an address or a subject that would become something else.

    The library refuses line breaks in headers; an address is refused as well when it is more than one.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = Address(addr_spec=to)
    message["Subject"] = subject
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].rstrip("> ") or "localhost")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(text)
    return message


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
        self._queue: asyncio.Queue[Mail | None] = asyncio.Queue(size)
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
        try:
            self._queue.put_nowait(Mail(to, subject, text))
        except asyncio.QueueFull:
            self._mails.labels("dropped").inc()
            log.warning("mail_dropped", waiting=self._queue.qsize())

    async def run(self) -> None:
        """Send what is posted, one after the other, until `None` comes."""
        while (mail := await self._queue.get()) is not None:
            await self._send(mail)

    async def drain(self) -> None:
        """Have `run` end once everything was sent."""
        await self._queue.put(None)

    async def _send(self, mail: Mail) -> None:
        result = "sent"
        try:
            await self._mailer.send(mail.to, mail.subject, mail.text)
        except Exception as error:  # noqa: BLE001 - nothing about one mail ends the sending of the next
            refused = isinstance(error, aiosmtplib.SMTPResponseException | aiosmtplib.SMTPRecipientsRefused)
            result = "refused" if refused else "failed"
            # its text may quote the recipient, and its traceback's frames hold the code
            log.warning("mail_not_sent", result=result, error=type(error).__name__, code=getattr(error, "code", None))
        self._mails.labels(result).inc()


@asynccontextmanager
async def open_outbox(mailer: Mailer, registry: CollectorRegistry) -> AsyncGenerator[Outbox]:
    """An outbox that sends while the block lasts, then so long as DRAIN_SECONDS says."""
    outbox = Outbox(mailer, registry)
    task = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await outbox.drain()
                await task
        except TimeoutError:
            log.warning("mails_given_up", waiting=outbox._queue.qsize())  # noqa: SLF001 - the two are one story
