"""`clients create | ensure | list | show | change | rotate-secret | disable | enable | delete`."""

import asyncio
import json
import time
from argparse import Action, ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.auth.audit.record import Origin
from services.auth.clients.repository import ClientRepository
from services.auth.clients.schemas import ClientPatch, ClientRead, ClientWrite
from services.auth.clients.service import AN_OPERATOR, ClientService
from services.auth.operators import as_operator, refuse, say
from services.auth.scopes import SCOPES
from services.auth.settings import CommandSettings
from services.common.exceptions import UnavailableError, UnprocessableError
from services.common.postgres import SessionMaker, open_session
from services.common.process import Commands

COMMAND = Origin()  # the command line has no address
PAGE = 100
PAUSE_SECONDS = 1.0
MEMBERS = ("name", "redirect_uris", "post_logout_redirect_uris", "grant_types", "scopes", "first_party")

Work = Callable[[ClientService], Awaitable[None]]
Run = Callable[[Namespace], Awaitable[int]]
Ask = Callable[[ClientService, str], Awaitable[ClientRead]]


class Words(Action):
    """Words of one or several arguments, between spaces or commas; given again, more of them. None at all: none."""

    def __call__(self, _: ArgumentParser, namespace: Namespace, values: Any, *_more: Any) -> None:
        """Add the words."""
        words = [word for value in values for word in value.replace(",", " ").split()]
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), *words])


def add_commands(commands: Commands) -> None:
    """Add `clients` and what can be done with them."""
    clients = commands.add_parser("clients", help="applications that may ask for tokens").add_subparsers(required=True)

    create = _command(clients, "create", create_client, "register one; its secret is printed this once")
    create.add_argument("name", metavar="NAME", help="what people read when they are asked for their consent")
    create.add_argument("--id", help="such as web-shop; without, it is given one")
    create.add_argument("--public", action="store_true", help="for apps that cannot keep a secret: it has none")
    _add_members(create)

    ensure = _command(clients, "ensure", ensure_client, "have a public one be there just as it is said")
    ensure.add_argument("id", metavar="ID")
    ensure.add_argument("name", metavar="NAME")
    ensure.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="for the database and its tables")
    _add_members(ensure)

    _command(clients, "list", list_clients, "all of them, by their ids")
    _of_one(clients, "show", "all about one", ask=ClientService.get)
    change = _of_one(clients, "change", "replace what is given; lists are replaced whole", change_client)
    change.add_argument("--name")
    _add_members(change)
    text = "print another secret; the one before is refused at once"
    _of_one(clients, "rotate-secret", text, ask=ClientService.rotate_secret)
    _of_one(clients, "disable", "switch one off; its tokens are refused at once", ask=ClientService.disable)
    _of_one(clients, "enable", "switch one on again", ask=ClientService.enable)
    _of_one(clients, "delete", "remove one and all that people granted it", delete_client)


def _command(clients: Commands, name: str, run: Run, text: str) -> ArgumentParser:
    parser: ArgumentParser = clients.add_parser(name, help=text)
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    parser.set_defaults(run=run)
    return parser


def _of_one(clients: Commands, name: str, text: str, run: Run | None = None, ask: Ask | None = None) -> ArgumentParser:
    parser = _command(clients, name, run or show_client, text)
    parser.add_argument("id", metavar="ID")
    parser.set_defaults(ask=ask)
    return parser


def _add_members(parser: ArgumentParser) -> None:
    def add_words(flag: str, metavar: str, text: str, dest: str | None = None) -> None:
        options = {} if dest is None else {"dest": dest}
        parser.add_argument(flag, nargs="*", action=Words, metavar=metavar, help=text, **options)  # type: ignore[arg-type]

    add_words("--scopes", "SCOPE", f"the most that it may ask for, of {' '.join(SCOPES)}")
    add_words("--redirect-uri", "URI", "where people come back to", "redirect_uris")
    add_words("--post-logout-redirect-uri", "URI", "and after they have signed out", "post_logout_redirect_uris")
    add_words("--grant-types", "TYPE", "authorization_code, refresh_token, client_credentials")
    first_party = "whether it is ours, so that nobody is asked for consent"
    parser.add_argument("--first-party", action=BooleanOptionalAction, default=None, help=first_party)


async def create_client(arguments: Namespace) -> int:
    """Register a client and print its secret."""
    body = _given(arguments) | {"authentication_method": "none" if arguments.public else "client_secret_basic"}
    if arguments.id is not None:
        body["id"] = arguments.id

    async def work(clients: ClientService) -> None:
        _show(arguments, await clients.create(_read(ClientWrite, body)))

    return await _run(work)


async def ensure_client(arguments: Namespace) -> int:
    """Register a public client, or bring it up to what is said of it; while the database is not there, wait."""
    body = _given(arguments) | {"id": arguments.id, "authentication_method": "none"}
    deadline = time.monotonic() + arguments.wait

    async def work(clients: ClientService) -> None:
        _show(arguments, await clients.ensure(_read(ClientWrite, body)))

    async def patiently(settings: CommandSettings, maker: SessionMaker) -> int:
        while True:
            try:
                return await _with_clients(work)(settings, maker)
            except UnavailableError as error:
                if time.monotonic() >= deadline:
                    raise
                say(f"not yet: {error}")
                await asyncio.sleep(PAUSE_SECONDS)

    return await as_operator(patiently)


async def list_clients(arguments: Namespace) -> int:
    """Print a line a client."""

    async def work(clients: ClientService) -> None:
        after, more = None, True
        while more:
            page, more = await clients.list(after, PAGE)
            for client in page:
                after = client.id
                state = "disabled" if client.disabled_at else "enabled"
                line = f"{client.id:30}  {state:8}  {client.name}"
                say(json.dumps(client.model_dump(mode="json"), ensure_ascii=False) if arguments.json else line)

    return await _run(work)


async def show_client(arguments: Namespace) -> int:
    """Do what is to be done with one client, and print it as it is then."""

    async def work(clients: ClientService) -> None:
        _show(arguments, await arguments.ask(clients, arguments.id))

    return await _run(work)


async def change_client(arguments: Namespace) -> int:
    """Replace what is given."""
    patch = _given(arguments)
    if not patch:
        return refuse("Nothing to change is given; --help says what can be")

    async def work(clients: ClientService) -> None:
        _show(arguments, await clients.change(arguments.id, _read(ClientPatch, patch)))

    return await _run(work)


async def delete_client(arguments: Namespace) -> int:
    """Remove one."""

    async def work(clients: ClientService) -> None:
        await clients.delete(arguments.id)
        say(json.dumps({"id": arguments.id, "deleted": True}) if arguments.json else f"deleted {arguments.id}")

    return await _run(work)


async def _run(work: Work) -> int:
    return await as_operator(_with_clients(work))


def _with_clients(work: Work) -> Callable[[CommandSettings, SessionMaker], Awaitable[int]]:
    async def with_service(_: CommandSettings, maker: SessionMaker) -> int:
        async with open_session(maker) as session:
            # nobody to wake here: every process of auth looks each second for what it has to tell
            await work(ClientService(ClientRepository(session), AN_OPERATOR, COMMAND, revoked=lambda: None))
        return 0

    return with_service


def _given(arguments: Namespace) -> dict[str, Any]:
    return {name: value for name in MEMBERS if (value := getattr(arguments, name)) is not None}


def _read(kind: Any, values: dict[str, Any]) -> Any:
    """The values as the API reads them. Raises UnprocessableError with a sentence for each that is wrong."""
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        found = [f"{'.'.join(map(str, e['loc']))} {e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
        raise UnprocessableError(".\n".join(found)) from None


def _show(arguments: Namespace, client: ClientRead) -> None:
    values = client.model_dump(mode="json")
    if arguments.json:
        say(json.dumps(values, ensure_ascii=False))
        return
    for name, value in values.items():
        words = " ".join(value) if isinstance(value, list) else value
        once = "  (shown this once)" if name == "secret" and value else ""
        say(f"{name:26}{'-' if words in (None, '') else words}{once}")
