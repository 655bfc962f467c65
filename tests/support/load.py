"""`make load`: a small, realistic load on the origin of `make up`, well below the gateway's limits."""

import argparse
import asyncio
import re
import ssl
import sys
from pathlib import Path

import httpx2

from k8s.local import cluster, credentials, paths
from k8s.local.errors import LocalError
from k8s.node.errors import NodeError
from tests.support import accounts
from tests.support.traffic import Traffic

MOST_A_SECOND = 40
"""The gateway's own limits are not what is looked at here."""


def main() -> int:
    """Send it; 1 when nothing answered as it should."""
    arguments = _parser().parse_args()
    try:
        traffic = asyncio.run(_run(arguments))
    except (OSError, ValueError, LocalError, NodeError, httpx2.HTTPError) as error:
        print(f"make load: {error}; `make up` makes what is needed", file=sys.stderr)
        return 1
    print(traffic.told())
    failed = sum(count for (_, status), count in traffic.seen.items() if isinstance(status, str) or status >= 500)
    print(f"{traffic.seen.total()} requests, {failed} of them failed")
    return int(failed * 2 > traffic.seen.total())


async def _run(arguments: argparse.Namespace) -> Traffic:
    client = _client(arguments.client)
    async with _http(arguments.ca) as http:
        people = await accounts.people(http, paths.ORIGIN, paths.state() / "load.people", _operator)
        traffic = Traffic(http, client, people, origin=paths.ORIGIN, rate=min(arguments.rate, MOST_A_SECOND))
        print(f"{traffic.rate:g} requests a second to {paths.ORIGIN} for {arguments.seconds:g} s", flush=True)
        await traffic.run(seconds=arguments.seconds)
        return traffic


def _operator(*words: str) -> str:
    """A command of auth on the cluster of `make up`."""
    return credentials.as_operator(cluster.choose(), *words)


def _http(ca: Path) -> httpx2.AsyncClient:
    """A client of the origin, reached at loopback whatever resolves its name."""

    async def ask_for_certificate(request: httpx2.Request) -> None:
        request.extensions["sni_hostname"] = paths.HOST

    return httpx2.AsyncClient(
        base_url=f"https://127.0.0.1:{paths.HTTPS_PORT}",
        headers={"Host": f"{paths.HOST}:{paths.HTTPS_PORT}"},
        verify=ssl.create_default_context(cafile=str(ca)),
        event_hooks={"request": [ask_for_certificate]},
        timeout=15,
        trust_env=False,
    )


def _client(file: Path) -> tuple[str, str]:
    """Id and secret from a file for `curl -K`."""
    found = re.search(r'user = "([^":]+):([^":]+)"', file.read_text())
    if found is None:
        raise ValueError(f'{file} has no line user = "id:secret"')
    return found[1], found[2]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--ca", type=Path, default=paths.ca_certificate(), help="whose certificates are trusted")
    parser.add_argument("--client", type=Path, default=paths.client(), help="id and secret, as a file for curl -K")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=20, help=f"requests a second, at most {MOST_A_SECOND}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
