"""`keys list | rotate | revoke | rewrap`: what operators and the CronJob run."""

from argparse import Namespace
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from services.auth.keys.repository import KeyRepository
from services.auth.keys.service import KeyService
from services.auth.operators import as_operator, say
from services.auth.sealing import Sealer
from services.auth.settings import CommandSettings
from services.common.postgres import SessionMaker, open_session
from services.common.process import Commands


def add_commands(commands: Commands) -> None:
    """Add `keys` and what can be done with them."""
    keys = commands.add_parser("keys", help="the keys that sign tokens").add_subparsers(required=True)
    keys.add_parser("list", help="which there are, in which state").set_defaults(run=list_keys)
    rotate = keys.add_parser("rotate", help="publish, promote and remove what is due; run it every few minutes")
    rotate.add_argument("--now", action="store_true", help="publish the next key now; it signs after the lead")
    rotate.set_defaults(run=rotate_keys)
    revoke = keys.add_parser("revoke", help="take a key out at once; what it signed is refused")
    revoke.add_argument("kid")
    revoke.set_defaults(run=revoke_key)
    keys.add_parser("rewrap", help="seal anew after a change of KEY_ENCRYPTION_KEY").set_defaults(run=rewrap_keys)


@asynccontextmanager
async def _service(settings: CommandSettings, maker: SessionMaker) -> AsyncGenerator[KeyService]:
    async with open_session(maker) as session:
        yield KeyService(KeyRepository(session), Sealer(settings), settings)


async def list_keys(_: Namespace) -> int:
    """Print a line a key."""

    async def work(settings: CommandSettings, maker: SessionMaker) -> int:
        async with _service(settings, maker) as service:
            for key in await service.all():
                at = key.retiring_at or key.signing_at or key.published_at
                say(f"{key.kid}  {key.state:9}  since {at:%Y-%m-%d %H:%M:%S}Z  sealed with {key.sealed_with}")
        return 0

    return await as_operator(work)


async def rotate_keys(arguments: Namespace) -> int:
    """Do what is due and print it."""

    async def work(settings: CommandSettings, maker: SessionMaker) -> int:
        async with _service(settings, maker) as service:
            for line in await service.rotate(publish_now=arguments.now) or ["nothing is due"]:
                say(line)
            for key in await service.all():
                if key.state == "published":
                    say(f"{key.kid} signs from {service.signs_at(key):%Y-%m-%d %H:%M:%S}Z on, at the next rotate")
        return 0

    return await as_operator(work)


async def revoke_key(arguments: Namespace) -> int:
    """Take one key out."""

    async def work(settings: CommandSettings, maker: SessionMaker) -> int:
        async with _service(settings, maker) as service:
            for line in await service.revoke(arguments.kid):
                say(line)
        return 0

    return await as_operator(work)


async def rewrap_keys(_: Namespace) -> int:
    """Seal everything anew with the current key-encryption key."""

    async def work(settings: CommandSettings, maker: SessionMaker) -> int:
        async with _service(settings, maker) as service:
            done = await service.rewrap()
        say(f"sealed anew: {done['signing_keys']} signing keys, {done['authenticators']} authenticators")
        return 0

    return await as_operator(work)
