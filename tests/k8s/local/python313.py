"""`python -m tests.k8s.local.python313 [pytest arguments]`: the suite on the Python of the images.

Builds the `test` target (the dev target with the test requirements) and runs it in a container on this machine's
network; Postgres and Redis are started here and given by URL.
"""

import subprocess
import sys
from contextlib import ExitStack

from k8s.local import images
from k8s.node import images as buildah
from tests.support.servers import postgres_server, redis_server

REF = "slipway/suite:local"
WORKERS = 2  # each with servers of its own: a Redis tells all its databases' subscribers, roles are a Postgres' own
PYTEST = ["python", "-m", "pytest", "-p", "no:cacheprovider", "-m", "not e2e", f"-n{WORKERS}", "--dist=loadfile"]
SUITES = ["tests/common", "tests/items", "tests/auth", "tests/gateway"]


def main(arguments: list[str]) -> int:
    """Build, start the servers, run; the exit code is pytest's."""
    print("building the test image (a minute when requirements changed)", flush=True)
    images.build("items", REF, target="test")
    with ExitStack() as stack:
        postgres = [stack.enter_context(postgres_server()).url for _ in range(WORKERS)]
        redis = [stack.enter_context(redis_server()).url for _ in range(WORKERS)]
        given = {"TEST_DATABASE_URL": " ".join(postgres), "TEST_REDIS_URL": " ".join(redis)}
        chosen = [] if any(each.startswith("tests/") for each in arguments) else SUITES
        command = [*PYTEST, *arguments, *chosen]
        if images.with_docker(REF):
            return subprocess.run(docker_command(command, given), check=False).returncode
        return buildah.run_once(REF, command, given)


def docker_command(command: list[str], variables: dict[str, str]) -> list[str]:
    """The same with Docker."""
    given = [f"--env={name}={value}" for name, value in variables.items()]
    program, *arguments = command
    return ["docker", "run", "--rm", "--network=host", *given, f"--entrypoint={program}", REF, *arguments]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
