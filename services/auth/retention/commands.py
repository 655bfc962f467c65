"""`clean`: what the CronJob runs every day."""

from argparse import Namespace

from services.auth.operators import as_operator, refuse, say
from services.auth.retention.service import TASK, clean
from services.auth.settings import CommandSettings
from services.common.postgres import SessionMaker
from services.common.process import Commands


def add_commands(commands: Commands) -> None:
    """Add `clean`."""
    commands.add_parser(TASK, help="remove what has ended long ago; run it every day").set_defaults(run=run_clean)


async def run_clean(_: Namespace) -> int:
    """Remove all that is due and print how much it was."""

    async def work(settings: CommandSettings, maker: SessionMaker) -> int:
        done, broken = await clean(settings, maker)
        for table, count in done.items():
            say(f"{table}: {count}")
        if broken:
            return refuse(f"The audit log stays as it is, for its chain is broken. {broken}")
        return 0

    return await as_operator(work)
