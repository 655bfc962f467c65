"""`python -m k8s.local up | down | status | push | dev | ...`: what the Makefile calls."""

import argparse
import asyncio
import os
import signal
import sys
from types import FrameType

from k8s.local import dev, forward, sign_in, status
from k8s.local.down import down
from k8s.local.lock import exclusive
from k8s.local.prometheus import prometheus
from k8s.local.push import push
from k8s.local.traces import trace
from k8s.local.up import up
from k8s.node.errors import NodeError, sentence
from k8s.node.progress import printer


def main() -> int:
    """Run one command; every failure is one sentence and exit code 1."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return trace(arguments.id) if arguments.command == "trace" else _run(arguments)
    except NodeError as error:
        if error.details.strip():
            print(error.details.strip(), file=sys.stderr)
        print(f"make {arguments.command}: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder of somebody else's
        print(f"make {arguments.command}: {sentence(error)}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"make {arguments.command}: interrupted; the next `make up` goes on from here.", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "up":
            with exclusive("up"):
                up(printer())
        case "down":
            with exclusive("down"):
                down(keep_data=arguments.keep_data, progress=printer())
        case "status":
            status.status()
        case "token":
            print(sign_in.token(sign_in.tell))
        case "push":
            with exclusive("push"):
                push(arguments.registry, arguments.tag, printer())
        case "dev":
            dev.dev(arguments.verb, printer())
        case "build-artifact":
            dev.build_artifact(arguments.service, dict(os.environ))
        case "forward":
            asyncio.run(forward.serve([_route(text) for text in arguments.routes]))
        case "prometheus":
            return prometheus(arguments.words)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m k8s.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="a Kubernetes on this machine with Slipway on it")
    commands.add_parser("down", help="take it away").add_argument("--keep-data", action="store_true")
    commands.add_parser("status", help="what is there")
    commands.add_parser("token", help="a person signs in with a browser; their access token is printed")
    commands.add_parser("trace", help="a request's spans as a tree").add_argument("id", nargs="?", default="")
    developing = commands.add_parser("dev", help="Skaffold: edits reach the pods as you save")
    developing.add_argument("verb", nargs="?", default="dev", choices=["dev", "run"])
    pushing = commands.add_parser("push", help="build and push the images for any cluster")
    pushing.add_argument("--registry", default="")
    pushing.add_argument("--tag", default="")
    commands.add_parser("build-artifact", help="what Skaffold calls for one image").add_argument("service")
    commands.add_parser("forward", help="carry connections: LOCAL_PORT:HOST:PORT ...").add_argument("routes", nargs="+")
    watching = commands.add_parser("prometheus", help="forward to the release's Prometheus, for a command or for you")
    watching.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    return parser


def _route(text: str) -> tuple[int, str, int]:
    local_port, host, port = text.split(":")
    return int(local_port), host, int(port)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Let SIGTERM unwind as Ctrl-C does: children are ended, files are whole."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
