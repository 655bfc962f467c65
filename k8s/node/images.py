"""Container images by buildah: base images from Debian packages, images from a Dockerfile, pushing."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from k8s.node import builds, files, package_config, packages, paths, registry
from k8s.node.commands import Word, logged, run
from k8s.node.errors import NodeError
from k8s.node.progress import Progress, silent

PYTHON = "docker.io/library/python:3.13-slim"
POSTGRES = "docker.io/library/postgres:17"
REDIS = "docker.io/library/redis:7"
POSTGRES_EXPORTER = "quay.io/prometheuscommunity/postgres-exporter:v0.17.1"
REDIS_EXPORTER = "docker.io/oliver006/redis_exporter:v1.74.0"

SUITE = "trixie"
PYTHON_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
RECIPES = paths.SOURCE / "images"
UPGRADE = "apt-get update -q && apt-get upgrade -qy && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log"
"""debootstrap reads the suite as it was released; this brings what was mended since."""
BASE_CONTAINER = "slipway-python"
FRESH_DAYS = 14
"""A base image older than that is built again, with what Debian has mended since."""
KEEP_IMAGES, KEEP_SECONDS = 3, 7 * 86400
"""Of each repository so many images stay; unnamed ones, which are caches of build steps, so long."""
SERVERS = {
    "postgres": (POSTGRES, 30),
    "redis": (REDIS, 10),
    "postgres-exporter": (POSTGRES_EXPORTER, 15),
    "redis-exporter": (REDIS_EXPORTER, 15),
}
"""By name: what the chart calls the image, and the seconds a build takes."""


def ensure_python(progress: Progress = silent) -> str:
    """Make the stand-in for python:3.13-slim when missing or old, and return its name for `FROM`.

    An old one that cannot be made anew, because no mirror answers, stays in use, which is said.
    """
    packages.ensure(progress, packages.FOR_IMAGES)
    with builds.at_work(), files.lock(paths.cache() / "images.lock"):
        version, built = _made(PYTHON)
        days = (time.time() - built) / 86400
        if version == _python_digest() and days < FRESH_DAYS:
            return PYTHON
        progress(f"building the base image {PYTHON} from Debian {SUITE}: about a minute")
        try:
            _build_python()
        except NodeError as error:
            if version != _python_digest():
                raise
            progress(f"the base image stays the one of {days:.0f} days ago: {error}")
    return PYTHON


def python_id(progress: Progress = silent) -> str:
    """Twelve hexadecimal digits that name the base image as it is now; made when missing."""
    return _ask("inspect", "--type", "image", "--format", "{{.FromImageID}}", ensure_python(progress))[:12]


def about_python() -> str:
    """What stands in for the base image and since when, for who has to know."""
    made = time.strftime("%Y-%m-%d", time.gmtime(_made(PYTHON)[1]))
    return f"{PYTHON}, made here of Debian {SUITE}'s packages on {made}"


def ensure_servers(progress: Progress = silent) -> dict[str, tuple[str, Path]]:
    """Make the images of Postgres, Redis and their exporters when missing; by name the image's name and its archive."""
    made = {}
    for name, (ref, seconds) in SERVERS.items():
        recipe = RECIPES / f"{name}.Dockerfile"
        version = files.digest([recipe, python_id(progress)])
        archive = paths.cache() / "images" / f"{name}-{version}.oci.tar"
        if not archive.exists():
            progress(f"building the image {ref} from Debian {SUITE}: about {seconds} s")
            build(RECIPES, recipe, ref, log=paths.cache() / "log" / f"image-{name}.log")
            _save(ref, archive)
        made[name] = (ref, archive)
    return made


def build(
    context: Path,
    dockerfile: Path,
    ref: str,
    *,
    build_args: Mapping[str, str] | None = None,
    target: str | None = None,
    log: Path | None = None,
) -> None:
    """Build `ref` from a Dockerfile whose base may be `PYTHON`.

    This machine's package configuration (pip.conf and PIP_* variables as one pip.conf, the CA file,
    find-links folders, apt's sources) is mounted for the build only. A failure raises NodeError with the
    end of the build's log, which is `log` or a file in the cache folder.
    """
    given = {"PIP_CONFIG_FILE": package_config.PIP_INSIDE, **(build_args or {})}
    arguments = [word for name, value in given.items() for word in ("--build-arg", f"{name}={value}")]
    stage = ["--target", target] if target else []
    with builds.at_work(), _work() as work:
        mounts = package_config.mounts(work, SUITE)
        logged(
            _buildah(
                "build", "--pull=never", "--layers", "--network=host", *mounts, *arguments, *stage,
                "-f", dockerfile, "-t", ref, context,
            ),
            log or paths.cache() / "log" / "image.log", f"building the image {ref}", env=_environment(),
        )  # fmt: skip


def push(ref: str, destination: str | None = None) -> str:
    """Push a built image to `destination` (default: `ref` itself), plain HTTP for the node's registry.

    Returns the digest, `sha256:...`.
    """
    target = destination or ref
    verify = "false" if target.startswith(f"{paths.REGISTRY}/") else "true"
    with builds.at_work(), _work() as work:
        digest = work / "digest"
        command = _buildah("push", f"--tls-verify={verify}", "--digestfile", digest, ref, f"docker://{target}")
        run(command, env=_environment(), timeout_seconds=600)
        return digest.read_text().strip()


def run_once(ref: str, command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run a command in a container of a built image, on this machine's network; its exit code."""
    with builds.at_work():
        return _run_once(ref, command, variables)


def _run_once(ref: str, command: Sequence[str], variables: Mapping[str, str]) -> int:
    container = _ask("from", "--pull=never", ref)
    try:
        given = [f"--env={name}={value}" for name, value in variables.items()]
        words = _buildah("run", "--network=host", *given, container, "--", *command)
        return subprocess.run(words, check=False, env={**os.environ, **_environment()}).returncode
    finally:
        _ask("rm", container)


def exists(ref: str) -> bool:
    """Whether `ref` (`host:port/name:tag`) is in its registry."""
    return registry.has(ref)


def prune() -> None:
    """Remove what killed builds left and images that no build asks for again; no build may be running."""
    if packages.missing(packages.FOR_IMAGES) or not (paths.cache() / "storage").exists():
        return
    run(_buildah("rm", "--all"), check=False, env=_environment())
    listed = run(_buildah("images", "--json"), check=False, env=_environment())
    entries = json.loads(listed.stdout or "null") or [] if listed.returncode == 0 else []
    if found := unused(entries, time.time()):
        run(_buildah("rmi", "--force", *found), check=False, env=_environment())


def unused(entries: list[dict[str, Any]], now: float) -> list[str]:
    """What of `buildah images --json` may go: old unnamed images, and tags beyond the newest KEEP_IMAGES."""
    gone, by_repository = [], defaultdict(list)
    for entry in sorted(entries, key=lambda entry: float(entry["created"]), reverse=True):
        for name in entry["names"] or []:
            by_repository[name.rpartition(":")[0]].append(str(name))
        if not entry["names"] and now - entry["created"] > KEEP_SECONDS:
            gone.append(str(entry["id"]))
    return gone + [name for names in by_repository.values() for name in names[KEEP_IMAGES:]]


def _python_digest() -> str:
    return files.digest([SUITE, PYTHON_PACKAGES, UPGRADE, RECIPES / "python.sh"])


def _build_python() -> None:
    log = paths.cache() / "log" / "image-python.log"
    mirror, _ = package_config.debian_mirrors()
    with _work() as work:
        root = work / "root"
        logged(
            [*builds.enter(), "debootstrap", "--variant=minbase", f"--include={PYTHON_PACKAGES}", SUITE, root,
             *([mirror] if mirror else [])],
            log, "making a Debian root with debootstrap",
        )  # fmt: skip
        run(["sh", RECIPES / "python.sh", root])
        run(_buildah("rm", BASE_CONTAINER), check=False, env=_environment())  # of a build that was killed
        container = _ask("from", "--name", BASE_CONTAINER, "scratch")
        try:
            _ask("add", "-q", container, root, "/")
            given = package_config.apt_options(work, SUITE)
            logged(
                _buildah("run", "--network=host", *given, container, "--", "sh", "-c", UPGRADE),
                log.with_stem("image-python-upgrade"), "reading Debian's security updates", env=_environment(),
            )  # fmt: skip
            _ask("config", "--cmd", "python3", "--label", f"node.slipway={_python_digest()}",
                 "--label", f"node.slipway.built={time.time():.0f}", "--env",
                 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", container)  # fmt: skip
            _ask("commit", "-q", container, PYTHON)
        finally:
            _ask("rm", container)


def _made(ref: str) -> tuple[str, float]:
    """What an image was made from, and when (seconds since 1970); ("", 0) when there is none."""
    labels = ("node.slipway", "node.slipway.built")
    form = " ".join(f'{{{{index .OCIv1.Config.Labels "{label}"}}}}' for label in labels)
    done = run(_buildah("inspect", "--type", "image", "--format", form, ref), check=False, env=_environment())
    words = done.stdout.split() if done.returncode == 0 else []
    return (words[0], float(words[1])) if len(words) == len(labels) else ("", 0.0)


def _save(ref: str, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    draft = archive.with_name(f".{archive.name}")
    draft.unlink(missing_ok=True)  # buildah appends to an existing archive
    run(
        _buildah("push", "-q", "--compression-format=zstd", ref, f"oci-archive:{draft}:{ref}"),
        env=_environment(),
        timeout_seconds=600,
    )
    draft.replace(archive)
    name = archive.name.rpartition("-")[0]
    for older in archive.parent.glob(f"{name}-*.tar"):
        if older != archive and older.name.rpartition("-")[0] == name:  # redis is not redis-exporter
            older.unlink()


def _ask(*words: Word) -> str:
    return run(_buildah(*words), env=_environment(), timeout_seconds=600).stdout.strip()


def _buildah(*words: Word) -> list[Word]:
    storage: list[Word] = [
        "--storage-driver",
        "overlay",
        "--root",
        paths.cache() / "storage",
        "--runroot",
        paths.cache() / "runroot",
    ]
    return [*builds.enter(), "buildah", *storage, *words]


def _environment() -> dict[str, str]:
    return {"BUILDAH_ISOLATION": "chroot", "TMPDIR": str(_temporary())}


def _temporary() -> Path:
    """A folder for what is made in passing, there again after a `down`: without it buildah cannot even look."""
    folder = paths.cache() / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _work() -> Iterator[Path]:
    """A folder of one build, on the disk of the cache, for /tmp is small on some machines."""
    top = _temporary()
    folder = Path(tempfile.mkdtemp(dir=top))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
