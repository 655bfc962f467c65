"""What comes from npm is pinned by its hash, and from wherever the machine's own settings say."""

import json
import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements"
LOCKS = {"docs-ui": "swagger-ui-dist", "oidc-provider": "oidc-provider"}


@pytest.mark.parametrize(("folder", "package"), LOCKS.items())
def test_each_package_is_locked_by_its_hash_and_no_address(folder: str, package: str) -> None:
    lock = (REQUIREMENTS / folder / "package-lock.json").read_text()
    packages = {name: found for name, found in json.loads(lock)["packages"].items() if name}

    assert f"node_modules/{package}" in packages
    for found in packages.values():
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", found["integrity"])
        assert "resolved" not in found
    assert "://" not in lock
