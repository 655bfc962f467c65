"""`python -m services.issuer serve`."""

from services.common.process import run
from services.issuer.main import create_app
from services.issuer.settings import IssuerSettings

if __name__ == "__main__":
    run("issuer", create_app=create_app, settings=IssuerSettings)
