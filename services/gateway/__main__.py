"""`python -m services.gateway serve`."""

from services.common.process import run
from services.gateway.main import create_app
from services.gateway.settings import GatewaySettings

if __name__ == "__main__":
    run("gateway", create_app=create_app, settings=GatewaySettings)
