"""Image sizes come from the registry's files; where there is no image, the sentence says which command makes one."""

import json
import os
from pathlib import Path

import pytest

from tests.bench.questions import InvalidRunError
from tests.bench.size import layers


def push(storage: Path, service: str, tag: str, sizes: dict[str, int], *, at: float) -> None:
    registry = storage / "docker" / "registry" / "v2"
    digest = f"{tag}{'0' * 60}"[:64]
    blob = registry / "blobs" / "sha256" / digest[:2] / digest / "data"
    blob.parent.mkdir(parents=True)
    blob.write_text(json.dumps({"layers": [{"digest": name, "size": size} for name, size in sizes.items()]}))
    link = registry / "repositories" / "slipway" / service / "_manifests" / "tags" / tag / "current" / "link"
    link.parent.mkdir(parents=True)
    link.write_text(f"sha256:{digest}")
    os.utime(link, (at, at))


def test_layers_are_those_of_the_image_that_was_pushed_last(tmp_path: Path) -> None:
    push(tmp_path, "items", "bbb", {"base": 100, "old": 7}, at=1)
    push(tmp_path, "items", "aaa", {"base": 100, "new": 9}, at=2)

    assert layers("items", tmp_path) == {"base": 100, "new": 9}


def test_an_image_that_is_not_there_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidRunError, match="no image of items: `make up` builds it"):
        layers("items", tmp_path)
