"""`python -m tests.common.sample serve | migrate | head`."""

from services.common.process import run
from tests.common.sample.main import SampleSettings, create_app

if __name__ == "__main__":
    run("sample", create_app=create_app, settings=SampleSettings, migrations="tests.common.sample.migrations")
