"""What end-to-end tests share: the cluster, the platform of `make up`, and a release that may be broken."""

from collections.abc import Iterator

import pytest

from k8s.local import paths
from k8s.local.release import values
from k8s.local.up import deliver_images
from k8s.node.progress import printer
from tests.e2e import namespaces
from tests.e2e.kube import ClusterRefusedError, Kube, connect
from tests.e2e.namespaces import MakeNamespace
from tests.e2e.releases import OwnRelease, Release


@pytest.fixture(scope="session")
def kube() -> Kube:
    """The cluster of `make up`, and no other."""
    try:
        return connect()
    except ClusterRefusedError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def platform(kube: Kube) -> Release:
    """The release of `make up`: tests look at it and use it, and leave it as it is."""
    return Release(kube, paths.NAMESPACE, paths.RELEASE, paths.HOST)


@pytest.fixture(scope="session")
def make_namespace(kube: Kube) -> Iterator[MakeNamespace]:
    """Makes namespaces for tests that install, break or uninstall."""
    namespaces.delete_all(kube)  # what a killed run left
    yield lambda purpose: namespaces.make(kube, purpose)
    namespaces.delete_all(kube)


@pytest.fixture(scope="session")
def development(kube: Kube) -> list[str]:
    """The helm arguments of `make up`: development values, and images of the working tree, built where they are not."""
    return values(kube.cluster, deliver_images(kube.cluster, printer()))


@pytest.fixture(scope="session")
def release(kube: Kube, development: list[str], make_namespace: MakeNamespace) -> OwnRelease:
    """A release of the tests' own, shared: whoever changes it puts it back."""
    own = OwnRelease(kube, make_namespace("shared"), "own", development)
    own.upgrade()
    return own
