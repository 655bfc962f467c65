"""`python -m tests.items.crashing serve`, with CRASH=before or after: the commit of a create kills the process."""

import os
import signal

from services.common.process import run
from services.items.main import create_app
from services.items.repository import ItemRepository
from services.items.settings import ItemsSettings

commit = ItemRepository.commit


async def commit_and_die(self: ItemRepository) -> None:
    """SIGKILL, as from the kernel or a lost machine: nothing is said to anybody."""
    if os.environ["CRASH"] == "after":
        await commit(self)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    ItemRepository.commit = commit_and_die  # type: ignore[method-assign]
    run("items", create_app=create_app, settings=ItemsSettings)
