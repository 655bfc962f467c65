"""What comes from npm is pinned by its hash, and from wherever the machine's own settings say."""

import json
import re
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements/docs-ui/package-lock.json"


def test_each_package_is_locked_by_its_hash_and_no_address() -> None:
    packages = {name: found for name, found in json.loads(LOCK.read_text())["packages"].items() if name}

    assert "node_modules/swagger-ui-dist" in packages
    for found in packages.values():
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", found["integrity"])
        assert "resolved" not in found
    assert "://" not in LOCK.read_text()
