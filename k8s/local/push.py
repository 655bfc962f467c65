"""`make push REGISTRY=… TAG=…`: the images for any cluster, and the line that installs from them."""

import re

from k8s.local import images, paths
from k8s.local.errors import LocalError
from k8s.local.steps import step
from k8s.node.progress import Progress

_REGISTRY = re.compile(r"[a-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")  # OCI distribution specification, "Pulling manifests"


def push(registry: str, tag: str, progress: Progress) -> None:
    """Build and push the image of every service as `REGISTRY/slipway/<service>:TAG`; print how to install."""
    check(registry, tag)
    progress(f"base: {images.about_base(registry)}")
    for service in images.services():
        ref = images.reference(registry, service, tag)
        with step(progress, f"push-{service}", f"image: {ref}"):
            images.build(service, ref)
            images.push(ref)
    print(install_line(registry, tag), flush=True)


def check(registry: str, tag: str) -> None:
    """Raise LocalError for a registry or a tag that no image can have."""
    if not _REGISTRY.fullmatch(registry):
        raise LocalError(f'REGISTRY="{registry}" is not a registry; give host[:port][/path], in lower case.')
    if not _TAG.fullmatch(tag):
        raise LocalError(f'TAG="{tag}" is not a tag; give up to 128 letters, digits, "_", "." and "-", such as 1.0.0.')


def install_line(registry: str, tag: str) -> str:
    """The command that installs Slipway from those images on the cluster of the current context."""
    return (
        f"\nhelm upgrade --install {paths.RELEASE} charts/slipway \\\n"
        f"  --namespace {paths.NAMESPACE} --create-namespace \\\n"
        f"  --set-string global.image.registry={registry} --set-string global.image.tag={tag} \\\n"
        "  --values k8s/environments/production.yaml --wait --wait-for-jobs\n"
    )
