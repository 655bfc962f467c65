"""`python -m k8s.node`: the node from a command line."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from k8s.node import api, archives, cluster, images, leftovers, packages, paths, tools
from k8s.node.errors import NodeError, sentence
from k8s.node.progress import printer

TESTED_WITH = ("helm", "helm3", "promtool", "prometheus")
"""The chart is rendered by both."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit code, with failures told in one sentence on standard error."""
    given = list(sys.argv[1:] if words is None else words)
    if given[:1] == ["kubectl"]:  # its own options are not ours to read
        return _guarded(lambda: _kubectl(given[1:]))
    arguments = _parser().parse_args(given)
    command: Callable[[argparse.Namespace], int] = arguments.run
    return _guarded(lambda: command(arguments))


def _guarded(command: Callable[[], int]) -> int:
    try:
        return command()
    except NodeError as error:
        if error.details:
            print(error.details.rstrip(), file=sys.stderr)
        print(f"error: {error}", file=sys.stderr)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader (`| head`) has enough
    except OSError as error:
        print(f"error: {sentence(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped, `down` cleans up", file=sys.stderr)
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m k8s.node", description=cluster.__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "build", _build, "build the programs that `up` needs")
    _add(commands, "up", _up, "bring the node up, or mend it; seconds when it runs")
    down = _add(commands, "down", _down, "end it and leave nothing behind")
    down.add_argument("--keep-data", action="store_true", help="keep etcd, keys, volumes and pushed images")
    _add(commands, "status", _status, "what runs; exit code 1 when something does not")
    commands.add_parser("kubectl", help="kubectl as administrator: every word after it is kubectl's")
    tool = _add(commands, "tool", _tool, "print the path of a program, building it when first asked")
    tool.add_argument("name", metavar="NAME", help=", ".join(sorted(tools.ALL)))
    _add(commands, "prepare-tests", _prepare_tests, "install the servers and build the programs that the tests need")
    _add(commands, "images", _images, "make the base images and what the node loads; print them")
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(run=run)
    return parser


def _build(_: argparse.Namespace) -> int:
    tools.build(printer())
    print(tools.bin_folder())
    return 0


def _up(_: argparse.Namespace) -> int:
    cluster.up(printer())
    print(f"export KUBECONFIG={paths.kubeconfig()}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    cluster.down(keep_data=arguments.keep_data, progress=printer())
    return 0


def _status(_: argparse.Namespace) -> int:
    parts = cluster.status()
    for part, pid in parts.items():
        print(f"{part:20} {pid or 'not running'}")
    if parts["apiserver"]:
        print(api.kubectl("get", "nodes,deployments,pods", "-A", "-o", "wide", check=False).stdout)
    elif found := leftovers.find():
        print("left over, which `down` removes:", *found, sep="\n  ")
    return 0 if all(parts.values()) else 1


def _kubectl(words: Sequence[str]) -> int:
    if not paths.kubeconfig().exists():
        raise NodeError("there is no node: bring it up first")
    kubectl = tools.path("kubectl")
    os.execv(kubectl, ["kubectl", f"--kubeconfig={paths.kubeconfig()}", *words])  # noqa: S606 - no shell wanted


def _tool(arguments: argparse.Namespace) -> int:
    print(tools.path(arguments.name, printer()))
    return 0


def _prepare_tests(_: argparse.Namespace) -> int:
    packages.ensure(printer(), packages.FOR_TESTS)
    for name in TESTED_WITH:
        tools.path(name, printer())
    return 0


def _images(_: argparse.Namespace) -> int:
    progress = printer()
    packages.ensure(progress, packages.FOR_IMAGES)
    print(images.ensure_python(progress))
    for archive in archives.ensure(progress).values():
        print(f"{archive.ref:60} {archive.file.stat().st_size / 1e6:6.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
