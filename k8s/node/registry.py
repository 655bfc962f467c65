"""The registry inside the node: images are pushed to it from the host and pulled from it by the node."""

import shutil
import urllib.error
import urllib.request
from pathlib import Path

from k8s.node import api, files, paths, tools
from k8s.node.commands import run
from k8s.node.processes import running, start, wait

KEEP_TAGS = 10
"""So many tags of each repository stay, the newest; a day of edits leaves hundreds."""

_MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.manifest.v1", "oci.image.index.v1", "docker.distribution.manifest.v2",
        "docker.distribution.manifest.list.v2",
    )
)  # fmt: skip


def start_registry() -> None:
    """Clear old images away, which needs the registry stopped, then start it."""
    file = paths.state() / "registry.yaml"
    files.write(
        file,
        {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(_storage())}, "delete": {"enabled": True}},
            "http": {"addr": paths.REGISTRY},
        },
    )
    if not running("registry"):
        _collect_garbage(file)
    start("registry", [tools.path("registry"), "serve", file], inputs=[file])
    wait("registry answers", api.answers(f"http://{paths.REGISTRY}/v2/"), part="registry")


def _storage() -> Path:
    return paths.state() / "registry"


def _collect_garbage(file: Path) -> None:
    removed = [
        tag for tags in _storage().glob("docker/registry/v2/repositories/**/_manifests/tags") for tag in old(tags)
    ]
    for tag in removed:
        shutil.rmtree(tag)
    if removed:
        run([tools.path("registry"), "garbage-collect", "--delete-untagged", file], timeout_seconds=300)


def old(tags: Path) -> list[Path]:
    """The tags of one repository beyond the newest KEEP_TAGS, by the time of their last push."""
    by_age = sorted(tags.iterdir(), key=lambda tag: (tag / "current" / "link").stat().st_mtime, reverse=True)
    return by_age[KEEP_TAGS:]


def has(ref: str) -> bool:
    """Whether `host:port/name:tag` is in its registry; False also when nothing answers there."""
    host, _, rest = ref.partition("/")
    name, _, tag = rest.rpartition(":")
    url = f"http://{host}/v2/{name}/manifests/{tag}"
    request = urllib.request.Request(url, method="HEAD", headers={"Accept": _MANIFESTS})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy does not know the node
    try:
        with direct.open(request, timeout=10) as response:
            return bool(response.status == 200)  # noqa: PLR2004 - HTTP's OK
    except (urllib.error.URLError, OSError):
        return False
