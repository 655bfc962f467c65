"""Image archives, base images' hashes, and the package configuration that builds are given."""

import hashlib
import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from k8s.node import archives, images, package_config, packages, scratch, tools
from k8s.node.errors import NodeError
from k8s.node.registry import KEEP_TAGS, old


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "coredns"
    file.write_bytes(b"\x7fELF")
    return file


def test_an_archive_names_its_layer_and_configuration_by_their_hashes(tmp_path: Path, program: Path) -> None:
    scratch.write(
        tmp_path / "a.tar", "node.local/x:1", {"/usr/bin/x": program}, user="65532", entrypoint=["/usr/bin/x"]
    )

    with tarfile.open(tmp_path / "a.tar") as archive:
        content = {name: (archive.extractfile(name) or pytest.fail(name)).read() for name in archive.getnames()}
    (index,) = json.loads(content["manifest.json"])
    config, layer = content[index["Config"]], content[index["Layers"][0]]
    assert index["RepoTags"] == ["node.local/x:1"]
    assert index["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert json.loads(config)["config"]["User"] == "65532"


def test_a_layer_has_the_program_executable_its_folders_and_a_sticky_tmp(tmp_path: Path, program: Path) -> None:
    (tmp_path / "layer.tar").write_bytes(scratch._layer({"/usr/bin/x": program}))

    with tarfile.open(tmp_path / "layer.tar") as layer:
        modes = {entry.name: entry.mode for entry in layer}

    assert modes == {"tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755, "usr/bin/x": 0o755}


def test_the_same_program_gives_the_same_bytes(tmp_path: Path, program: Path) -> None:
    for name in ("a.tar", "b.tar"):
        scratch.write(tmp_path / name, "node.local/x:1", {"/x": program}, user="0", entrypoint=["/x"])

    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_another_program_gets_another_name_and_the_old_archive_goes(program: Path) -> None:
    first = archives._program("coredns", program, archives.NOBODY)
    program.write_bytes(b"\x7fELF newer")
    second = archives._program("coredns", program, archives.NOBODY)

    assert first.ref != second.ref
    assert [file.name for file in archives.folder().iterdir()] == [second.file.name]


def test_a_changed_recipe_changes_the_base_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = images._python_digest()
    shutil.copytree(images.RECIPES, tmp_path / "recipes")
    monkeypatch.setattr(images, "RECIPES", tmp_path / "recipes")
    assert images._python_digest() == before

    with (tmp_path / "recipes/python.sh").open("a") as recipe:
        recipe.write("true\n")

    assert images._python_digest() != before


def test_pip_settings_of_files_and_variables_become_one_file(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://one/simple\ntimeout = 3\n[install]\nno-binary = x\n"
    )
    environment = {
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "PIP_INDEX_URL": "https://two/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PATH": "/bin",
    }

    config = package_config.pip_config(environment, has_ca=False)

    assert "index-url = https://two/simple" in config
    assert "https://one" not in config
    assert "timeout = 3" in config
    assert "[install]\nno-binary = x" in config
    assert "config-file" not in config
    assert "PATH" not in config.upper().split()


def test_the_certificates_are_named_by_their_place_inside(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[install]\ncert = /somewhere/else.crt\n")
    named = {"PIP_CERT": "/somewhere/on/this/machine.crt", "PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    environment = {"HOME": str(tmp_path)} | named

    config = package_config.pip_config(environment, has_ca=True)

    assert f"cert = {package_config.CA_INSIDE}" in config
    assert "/somewhere" not in config


def test_settings_with_several_lines_stay_several_lines(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(
        f"[global]\nfind-links =\n    {tmp_path}\n    file:///usr\n    https://elsewhere/\n"
    )

    config = package_config.pip_config(
        {"HOME": "/nowhere", "PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}, has_ca=False
    )

    assert package_config.find_links(config) == [tmp_path, Path("/usr")]


def test_nothing_of_this_machine_is_a_build_argument(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    environment = {"HOME": str(tmp_path), "PIP_FIND_LINKS": str(wheels), "PIP_INDEX_URL": "https://secret@host/simple"}

    options = package_config.mounts(tmp_path, "trixie", environment)

    assert not [word for word in options if "secret" in word or word.startswith("--build-arg")]
    assert all(word == "-v" or word.endswith(":ro") for word in options)
    assert any(word.startswith(f"{wheels}:") for word in options)


def test_old_tags_of_a_repository_go_and_the_newest_pushes_stay(tmp_path: Path) -> None:
    for age in range(KEEP_TAGS + 3):
        link = tmp_path / f"tag-{age:02}" / "current" / "link"
        link.parent.mkdir(parents=True)
        link.write_text("sha256:...")
        os.utime(link, (1000 - age, 1000 - age))

    gone = {tag.name for tag in old(tmp_path)}

    assert gone == {f"tag-{age:02}" for age in range(KEEP_TAGS, KEEP_TAGS + 3)}


def test_a_suite_is_read_with_its_updates_and_security_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_config, "default_mirror", lambda _suite: "http://mirror.example/debian")

    of_this_machine = package_config.sources("trixie", "http://near.example/debian", "http://near.example/fixes")
    without = package_config.sources("trixie", "", "")

    assert of_this_machine.splitlines() == [
        "deb http://near.example/debian trixie main",
        "deb http://near.example/debian trixie-updates main",
        "deb http://near.example/fixes trixie-security main",
    ]
    assert "deb http://mirror.example/debian-security trixie-security main" in without


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A base image of which nothing is made: the list says what would be."""
    made: list[str] = []
    monkeypatch.setattr(packages, "ensure", lambda *_: None)
    monkeypatch.setattr(images, "_build_python", lambda: made.append("built"))
    return made


@pytest.mark.parametrize(("days", "expected"), [(13, []), (15, ["built"])])
def test_a_base_image_is_made_anew_when_it_is_old(
    base: list[str], monkeypatch: pytest.MonkeyPatch, days: int, expected: list[str]
) -> None:
    monkeypatch.setattr(images, "_made", lambda _: (images._python_digest(), time.time() - days * 86400))

    images.ensure_python()

    assert base == expected


def test_an_old_base_image_stays_in_use_where_no_mirror_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise NodeError("debootstrap failed")

    monkeypatch.setattr(packages, "ensure", lambda *_: None)
    monkeypatch.setattr(images, "_made", lambda _: (images._python_digest(), time.time() - 20 * 86400))
    monkeypatch.setattr(images, "_build_python", fail)
    said: list[str] = []

    images.ensure_python(said.append)
    monkeypatch.setattr(images, "_made", lambda _: ("", 0.0))
    with pytest.raises(NodeError, match="debootstrap failed"):
        images.ensure_python()

    assert said[-1] == "the base image stays the one of 20 days ago: debootstrap failed"


def entry(created: float, *names: str) -> dict[str, object]:
    return {"id": f"id-{created:.0f}", "created": created, "names": list(names) or None}


def test_caches_of_build_steps_go_after_a_week() -> None:
    now = 10_000_000.0

    assert images.unused([entry(now - 8 * 86400), entry(now - 6 * 86400)], now) == ["id-9308800"]


def test_of_every_repository_the_newest_images_stay() -> None:
    entries = [entry(age, f"host:5000/items:{age}") for age in range(6)] + [entry(0, images.PYTHON)]

    gone = images.unused(entries, 6)

    assert gone == [f"host:5000/items:{age}" for age in (2, 1, 0)]


def test_buildahs_temporary_folder_is_there_after_a_down_removed_it() -> None:
    assert Path(images._environment()["TMPDIR"]).is_dir()


def test_what_the_node_makes_is_called_as_the_chart_asks_for_it() -> None:
    values = yaml.safe_load((Path(__file__).parents[3] / "charts" / "slipway" / "values.yaml").read_text())

    made = {ref for ref, _ in images.SERVERS.values()} | {archives.PROMETHEUS, archives.KUBE_STATE_METRICS}

    assert made <= set(asked_for(values))


def asked_for(values: object) -> Iterator[str]:
    """References of all images below these values."""
    if isinstance(values, dict):
        if values.keys() >= {"registry", "repository", "tag"}:
            yield f"{values['registry']}/{values['repository']}:{values['tag']}"
        for value in values.values():
            yield from asked_for(value)


def test_kube_state_metrics_is_of_the_version_that_its_image_and_it_itself_name() -> None:
    version = archives.KUBE_STATE_METRICS.rpartition(":")[2]
    tool = tools.ALL["kube-state-metrics"]

    assert f"{tool.package} {version} " in (tools.source(tool.module) / "go.mod").read_text()
    assert tool.ldflags.endswith(f"={version}")
