"""`users …` and `roles …`: what operators do with people, with all rights."""

import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any
from uuid import UUID

from prometheus_client import CollectorRegistry

from services.auth.audit.actor import AN_OPERATOR
from services.auth.audit.record import Origin
from services.auth.operators import as_operator, say
from services.auth.scopes import PERSONAL_SCOPES, SCOPES
from services.auth.settings import CommandSettings
from services.auth.users.administration import Administration
from services.auth.users.emails import check_email, check_name
from services.auth.users.first_administrator import FirstAdministrator
from services.auth.users.passwords import PasswordHasher
from services.auth.users.role_administration import RoleAdministration
from services.auth.users.schemas import ROLE, OneTimePassword
from services.auth.users.user_administration import UserAdministration
from services.common.postgres import SessionMaker, open_session
from services.common.process import Commands

PAGE = 100
WORDS = {
    "disable": "keep somebody out; sessions and tokens end",
    "enable": "let somebody in again",
    "delete": "forget somebody and all that is theirs",
    "sign-out": "end somebody's sessions and tokens everywhere",
}


def add_commands(commands: Commands) -> None:
    """Add `users` and `roles` and what can be done with them."""
    users = commands.add_parser("users", help="people").add_subparsers(required=True)
    first = users.add_parser("first-administrator", help="make one, when there is none; prints a one-time password")
    first.add_argument("email")
    first.set_defaults(run=first_administrator)
    users.add_parser("list", help="who there is").set_defaults(run=list_users)
    create = users.add_parser("create", help="make somebody; prints a one-time password")
    create.add_argument("email")
    create.add_argument("name")
    create.add_argument("--role", action="append", default=[], dest="roles")
    create.set_defaults(run=create_user)
    password = users.add_parser("one-time-password", help="in place of a forgotten one; good for a day, to choose one")
    password.add_argument("email")
    password.set_defaults(run=one_time_password)
    for word, help_ in WORDS.items():
        parser = users.add_parser(word, help=help_)
        parser.add_argument("email")
        parser.set_defaults(run=change_user, does=word.replace("-", "_"))
    given = users.add_parser("roles", help="have somebody hold these roles and no other")
    given.add_argument("email")
    given.add_argument("roles", nargs="*", metavar="ROLE")
    given.set_defaults(run=set_roles)
    _add_roles(commands)


def _add_roles(commands: Commands) -> None:
    roles = commands.add_parser("roles", help="sets of scopes").add_subparsers(required=True)
    roles.add_parser("list", help="which there are").set_defaults(run=list_roles)
    put = roles.add_parser("put", help="have a role be this; tokens of holders end where it loses a scope")
    put.add_argument("name", type=role_name)
    put.add_argument("--description", default="")
    given = [scope for scope in SCOPES if scope not in PERSONAL_SCOPES]
    put.add_argument("--scope", action="append", default=[], dest="scopes", choices=given, metavar="SCOPE")
    put.set_defaults(run=put_role)
    delete = roles.add_parser("delete", help="forget a role and take it from whoever has it")
    delete.add_argument("name")
    delete.set_defaults(run=delete_role)


def role_name(text: str) -> str:
    """Read the name of a role."""
    if not re.fullmatch(ROLE.strip("^$"), text):
        raise ArgumentTypeError("small letters, digits and hyphens would be right, a letter first, 40 at most")
    return text


async def first_administrator(arguments: Namespace) -> int:
    """Make the first administrator and print the password."""

    async def work(office: FirstAdministrator, passwords: PasswordHasher) -> None:
        _say_password(await office.make(arguments.email, passwords))

    return await _administer(FirstAdministrator, work)


async def list_users(_: Namespace) -> int:
    """Print a line a user."""

    async def work(office: UserAdministration, _: PasswordHasher) -> None:
        after: UUID | None = None
        while True:
            page = await office.page(after, PAGE)
            for user in page.items:
                state = "disabled" if user.disabled_at else "one-time" if user.must_change_password else "enabled"
                say(f"{user.id}  {state:8}  {user.email}  {' '.join(user.roles)}")
            if (after := page.next_cursor) is None:
                return

    return await _administer(UserAdministration, work)


async def create_user(arguments: Namespace) -> int:
    """Make a user and print the password."""

    async def work(office: UserAdministration, passwords: PasswordHasher) -> None:
        email, name = check_email(arguments.email), check_name(arguments.name)
        _say_password(await office.create(email, name, sorted(set(arguments.roles)), passwords))

    return await _administer(UserAdministration, work)


async def one_time_password(arguments: Namespace) -> int:
    """Put a one-time password in place of a user's own and print it."""

    async def work(office: UserAdministration, passwords: PasswordHasher) -> None:
        user_id = await office.find(check_email(arguments.email))
        _say_password(await office.one_time_password(user_id, passwords))

    return await _administer(UserAdministration, work)


async def change_user(arguments: Namespace) -> int:
    """Do what one word says."""

    async def work(office: UserAdministration, _: PasswordHasher) -> None:
        await getattr(office, arguments.does)(await office.find(check_email(arguments.email)))
        say("done")

    return await _administer(UserAdministration, work)


async def set_roles(arguments: Namespace) -> int:
    """Give a user roles and print them."""

    async def work(office: UserAdministration, _: PasswordHasher) -> None:
        user_id = await office.find(check_email(arguments.email))
        user = await office.set_roles(user_id, sorted(set(arguments.roles)))
        say(f"{user.email}  {' '.join(user.roles)}".rstrip())

    return await _administer(UserAdministration, work)


async def list_roles(_: Namespace) -> int:
    """Print a line a role."""

    async def work(office: RoleAdministration, _: PasswordHasher) -> None:
        for role in (await office.all()).items:
            say(f"{role.name}  {' '.join(role.scopes)}".rstrip())

    return await _administer(RoleAdministration, work)


async def put_role(arguments: Namespace) -> int:
    """Have a role be this."""

    async def work(office: RoleAdministration, _: PasswordHasher) -> None:
        role = await office.put(arguments.name, arguments.description, list(dict.fromkeys(arguments.scopes)))
        say(f"{role.name}  {' '.join(role.scopes)}".rstrip())

    return await _administer(RoleAdministration, work)


async def delete_role(arguments: Namespace) -> int:
    """Forget a role."""

    async def work(office: RoleAdministration, _: PasswordHasher) -> None:
        await office.delete(arguments.name)
        say("done")

    return await _administer(RoleAdministration, work)


async def _administer(kind: type[Administration], work: Callable[[Any, PasswordHasher], Awaitable[None]]) -> int:
    """Do the work with all rights; the processes that serve tell what was revoked, within seconds."""

    async def run(settings: CommandSettings, maker: SessionMaker) -> int:
        with closing(PasswordHasher(settings, CollectorRegistry())) as passwords:
            async with open_session(maker) as session:
                await work(kind(session, settings, AN_OPERATOR, Origin(), wake=lambda: None), passwords)
        return 0

    return await as_operator(run)


def _say_password(made: OneTimePassword) -> None:
    say(f"one-time password: {made.one_time_password}")
    say(f"good until {made.expires_at:%Y-%m-%d %H:%M:%S}Z, once, to choose another; it is not shown again")
