"""`python -m tests.gateway.pod serve`."""

from services.common.process import run
from tests.gateway.pod.main import PodSettings, create_app

if __name__ == "__main__":
    run("pod", create_app=create_app, settings=PodSettings)
