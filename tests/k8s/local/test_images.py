"""Tags follow what goes into an image, and nothing else."""

from pathlib import Path

import pytest

from k8s.local import images
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError

NODE = Cluster("node", "", registry="172.31.255.2:5000")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    files = (
        ".dockerignore services/Dockerfile services/__init__.py services/common/app.py services/items/__main__.py "
        "services/items/router.py services/auth/__main__.py requirements/items.txt requirements/auth.txt README.md"
    )
    for name in files.split():
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    return tmp_path / "checkout"


def tags(root: Path) -> dict[str, str]:
    return {service: images.tag(service, root) for service in images.services(root)}


def changed_by(root: Path, name: str) -> set[str]:
    before = tags(root)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("changed\n")
    return {service for service, tag in tags(root).items() if tag != before[service]}


def test_a_folder_with_a_main_is_a_service_and_common_is_not(checkout: Path) -> None:
    assert images.services(checkout) == ["auth", "items"]


@pytest.mark.parametrize(
    ("name", "services"),
    [
        ("services/items/router.py", {"items"}),
        ("services/items/migrations/versions/0002_more.py", {"items"}),
        ("requirements/auth.txt", {"auth"}),
        ("services/common/app.py", {"items", "auth"}),
        ("services/Dockerfile", {"items", "auth"}),
        (".dockerignore", {"items", "auth"}),
        ("README.md", set()),
        ("services/items/__pycache__/router.cpython-313.pyc", set()),
    ],
)
def test_an_edit_changes_the_tags_of_the_images_it_goes_into(checkout: Path, name: str, services: set[str]) -> None:
    assert changed_by(checkout, name) == services


def test_a_rename_changes_the_tag_although_no_content_did(checkout: Path) -> None:
    before = images.tag("items", checkout)

    (checkout / "services/items/router.py").rename(checkout / "services/items/routes.py")

    assert images.tag("items", checkout) != before


def test_the_development_image_has_a_tag_of_its_own(checkout: Path) -> None:
    assert images.tag("items", checkout, target="dev") != images.tag("items", checkout)


def test_a_service_without_requirements_is_refused_with_the_missing_file(checkout: Path) -> None:
    (checkout / "requirements/items.txt").unlink()

    with pytest.raises(LocalError, match=r"requirements/items\.txt is missing"):
        images.tag("items", checkout)


def test_a_name_has_the_registry_when_there_is_one() -> None:
    assert images.reference("registry.example.com/team", "items", "1.0") == (
        "registry.example.com/team/slipway/items:1.0"
    )
    assert images.reference("", "items", "1.0") == "slipway/items:1.0"


def test_a_failed_build_tells_the_line_that_says_why(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text(
        "SyntaxError: invalid syntax\n\nsubprocess exited with status 1\nsubprocess exited with status 1\n"
        'Error: building at STEP "RUN python -m compileall /app": exit status 1\n'
    )

    assert images.cause(log) == "SyntaxError: invalid syntax"


def test_a_build_that_fails_before_any_step_tells_what_buildah_says(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text("Error: no such file: services/Dockerfile\n")

    assert images.cause(log) == "Error: no such file: services/Dockerfile"
