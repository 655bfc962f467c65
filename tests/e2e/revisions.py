"""Images of items that know one more migration than the current one."""

import hashlib
import tempfile
from pathlib import Path

from k8s.local import commands, images, paths
from k8s.node import images as buildah
from tests.e2e.kube import Object
from tests.e2e.pods import execute
from tests.e2e.releases import Release

VERSIONS = "/app/services/items/migrations/versions"

MIGRATION = '''"""Expand only: a table that no code knows yet."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("{revision}", sa.Column("id", sa.BigInteger(), primary_key=True))
    op.add_column("items", sa.Column("{revision}", sa.Text(), nullable=True))
'''


def build(release: Release, revision: str) -> str:
    """Build and deliver the image that items runs, with one more migration; its tag."""
    pod = release.pod("items")
    base = pod["spec"]["containers"][0]["image"]
    before = execute(release.kube, pod, "python", "-m", "services.items", "head").strip()
    migration = MIGRATION.format(revision=revision, before=before)
    tag = f"{revision.replace('_', '-')}-{hashlib.sha256((base + migration).encode()).hexdigest()[:12]}"
    ref = f"{base.rpartition(':')[0]}:{tag}"
    if images.present(release.kube.cluster, ref):
        return tag
    images.build("items", base)  # nothing to do but to have it in the builder's own storage as well
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        (context / "migration.py").write_text(migration)
        recipe = context / "Dockerfile"
        recipe.write_text(f"FROM {base}\nCOPY --chmod=0644 migration.py {VERSIONS}/{revision}.py\n")
        _build(context, recipe, ref)
    images.deliver(release.kube.cluster, ref)
    return tag


def _build(context: Path, recipe: Path, ref: str) -> None:
    log = paths.logs() / "build-e2e.log"
    if images.with_docker(ref):
        commands.run_logged(
            log, "docker", "build", f"--file={recipe}", f"--tag={ref}", context, timeout=images.BUILD_SECONDS
        )
    else:
        log.parent.mkdir(parents=True, exist_ok=True)
        buildah.build(context, recipe, ref, log=log)


def applied(release: Release) -> list[str]:
    """The revisions that the database of items lists as applied, asked of Postgres itself."""
    statement = "SELECT revision FROM schema_history WHERE status = 'applied' ORDER BY id"
    psql = ("psql", "-h", "/tmp", "-U", "postgres", "-d", "items", "-X", "-A", "-t", "-c", statement)  # noqa: S108 - a socket
    return execute(release.kube, release.pod("postgres"), *psql).split()


def image_of(pod: Object) -> str:
    """What a pod's first container runs."""
    image: str = pod["spec"]["containers"][0]["image"]
    return image
