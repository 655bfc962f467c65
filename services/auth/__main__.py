"""`python -m services.auth serve | migrate | head | users … | roles … | clients … | keys … | audit … | clean`."""

from services.auth.audit import commands as audit
from services.auth.clients import commands as clients
from services.auth.keys import commands as keys
from services.auth.main import MIGRATIONS, create_app
from services.auth.retention import commands as retention
from services.auth.settings import AuthSettings
from services.auth.users import commands as users
from services.common.process import Commands, run


def add_commands(commands: Commands) -> None:
    """What operators and CronJobs run beside serving."""
    for noun in (users, clients, keys, audit, retention):
        noun.add_commands(commands)


if __name__ == "__main__":
    run("auth", create_app=create_app, settings=AuthSettings, migrations=MIGRATIONS, add_commands=add_commands)
