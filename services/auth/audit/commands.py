"""`audit verify | list`."""

import json
from argparse import ArgumentTypeError, Namespace
from datetime import datetime

from services.auth.audit.chain import Chain, Head
from services.auth.audit.events import Event
from services.auth.audit.record import OPERATOR, Origin
from services.auth.audit.repository import AuditRepository, Filters
from services.auth.audit.service import AuditService
from services.auth.operators import as_operator, refuse, say
from services.auth.settings import CommandSettings
from services.common.postgres import SessionMaker, open_session
from services.common.process import Commands

HASH_BYTES = 32


def add_commands(commands: Commands) -> None:
    """Add `audit` and what can be done with it."""
    audit = commands.add_parser("audit", help="the log of security events").add_subparsers(required=True)
    verify = audit.add_parser("verify", help="whether the chain holds; exit code 1 and the first break when not")
    verify.add_argument("--head", type=head, metavar="HASH:SEQUENCE", help="as a line audit_sealed or verify said it")
    verify.set_defaults(run=verify_chain)
    show = audit.add_parser("list", help="entries, the newest first, one JSON object a line")
    show.add_argument("--event", choices=[event.value for event in Event], metavar="EVENT")
    show.add_argument("--subject")
    show.add_argument("--actor")
    show.add_argument("--since", type=moment, help="such as 2026-01-31T12:00:00Z")
    show.add_argument("--limit", type=int, default=100, choices=range(1, 10_001), metavar="1-10000")
    show.set_defaults(run=list_entries)


def head(text: str) -> Head:
    """Read HASH:SEQUENCE."""
    hash_, _, sequence = text.partition(":")
    try:
        found = Head(int(sequence), bytes.fromhex(hash_))
    except ValueError:
        found = Head()
    if found.sequence < 1 or len(found.hash) != HASH_BYTES:
        raise ArgumentTypeError("64 hexadecimal digits, a colon and a number would be right")
    return found


def moment(text: str) -> datetime:
    """Read a time with its zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ArgumentTypeError("a time with its zone, such as 2026-01-31T12:00:00Z, would be right")
    return found


async def verify_chain(arguments: Namespace) -> int:
    """Walk the chain and say what was found."""

    async def work(settings: CommandSettings, maker: SessionMaker) -> int:
        async with open_session(maker) as session:
            verdict = await AuditService(AuditRepository(session), Chain(settings)).verify(arguments.head)
        if verdict.broken:
            return refuse(f"The chain is broken. {verdict.broken}")
        say(f"The chain holds: {verdict.entries} entries, {verdict.unsealed} not sealed yet; head {verdict.head}")
        return 0

    return await as_operator(work)


async def list_entries(arguments: Namespace) -> int:
    """Print entries."""
    filters = Filters(arguments.event, arguments.subject, arguments.actor, arguments.since)

    async def work(settings: CommandSettings, maker: SessionMaker) -> int:
        async with open_session(maker) as session:
            service = AuditService(AuditRepository(session), Chain(settings))
            for entry in (await service.read(filters, None, arguments.limit, Origin(), OPERATOR))[: arguments.limit]:
                say(json.dumps(entry.model_dump(mode="json", exclude={"hash", "previous_hash"}), ensure_ascii=False))
        return 0

    return await as_operator(work)
