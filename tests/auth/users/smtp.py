"""A small SMTP server (RFC 5321) with STARTTLS (RFC 3207), that keeps what it was told."""

import asyncio
import base64
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
SECONDS = 20


@dataclass
class Received:
    """One mail, and how it came."""

    recipients: list[str]
    message: EmailMessage
    secured: bool
    login: str


@dataclass
class SmtpServer:
    """What it was told: whole mails, and every line of its clients."""

    context: ssl.SSLContext | None
    implicit: bool
    refusals: Mapping[str, str]
    port: int = 0
    silent: bool = False
    mails: list[Received] = field(default_factory=list)
    lines: list[tuple[bool, str]] = field(default_factory=list)  # and whether each came through TLS

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with one client."""
        try:
            async with asyncio.timeout(SECONDS):
                if self.silent:
                    await reader.read()
                else:
                    await Conversation(self, reader, writer).hold()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # it has left, or TLS was not to its liking
        finally:
            writer.close()


class Conversation:
    """One client's."""

    def __init__(self, server: SmtpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.secured = server.implicit
        self.login = ""
        self.recipients: list[str] = []

    async def hold(self) -> None:
        """Answer line by line until the client says QUIT or leaves."""
        verb = ""
        await self.say("220 ready")
        while verb != "QUIT":
            line = (await self.reader.readuntil(b"\r\n")).decode().strip()
            self.server.lines.append((self.secured, line))
            verb = line.partition(" ")[0].upper()
            if refusal := self.server.refusals.get(verb):
                await self.say(refusal)
            else:
                await getattr(self, verb.lower(), self.fine)(line)

    async def say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self.writer.drain()

    async def fine(self, _: str) -> None:
        await self.say("250 fine")

    async def ehlo(self, _: str) -> None:
        may_secure = self.server.context is not None and not self.secured
        await self.say("250-here", *["250-STARTTLS"] * may_secure, "250 AUTH PLAIN")

    async def starttls(self, _: str) -> None:
        if self.server.context is None:
            await self.say("502 not here")
            return
        await self.say("220 go on")
        await self.writer.start_tls(self.server.context)
        self.secured = True

    async def auth(self, line: str) -> None:
        self.login = base64.b64decode(line.split()[2]).decode()
        await self.say("235 welcome")

    async def rcpt(self, line: str) -> None:
        self.recipients.append(line.partition(":")[2])
        await self.say("250 fine")

    async def data(self, _: str) -> None:
        await self.say("354 go on")
        data = await self.reader.readuntil(b"\r\n.\r\n")
        message = message_from_bytes(data[:-3].replace(b"\r\n..", b"\r\n."), policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.server.mails.append(Received(self.recipients, message, self.secured, self.login))
        await self.say("250 fine")

    async def quit(self, _: str) -> None:
        await self.say("221 bye")


@asynccontextmanager
async def smtp_server(
    context: ssl.SSLContext | None = None, *, implicit: bool = False, refusals: Mapping[str, str] | None = None
) -> AsyncGenerator[SmtpServer]:
    """Listen on a free port; with a context STARTTLS is offered, or TLS from the beginning."""
    server = SmtpServer(context, implicit, refusals or {})
    listening = await asyncio.start_server(server.serve, HOST, 0, ssl=context if implicit else None)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server proves itself with, made this moment, and what a client needs to believe it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail of the tests")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))
