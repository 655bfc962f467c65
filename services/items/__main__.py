"""`python -m services.items serve | migrate | head`."""

from services.common.process import run
from services.items.main import create_app
from services.items.settings import ItemsSettings

if __name__ == "__main__":
    run("items", create_app=create_app, settings=ItemsSettings, migrations="services.items.migrations")
