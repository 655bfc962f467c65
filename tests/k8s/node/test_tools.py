"""Building programs: hashes of inputs, failures, and what a killed build leaves."""

import os
import shutil
import time
from pathlib import Path

import pytest

from k8s.node import paths, tools
from k8s.node.errors import NodeError
from k8s.node.progress import silent

GO = """#!/bin/sh
if [ "$1" = env ]; then echo %(version)s; exit; fi
while [ "$1" != -o ]; do shift; done
%(build)s
"""


def fake_go(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, version: str = "go1.99.0", build: str = 'echo x >"$2"'
) -> None:
    """Put a `go` on PATH that says a version and does `build` ($2 is the output file)."""
    folder.mkdir(exist_ok=True)
    (folder / "go").write_text(GO % {"version": version, "build": build})
    (folder / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    for cached in (tools.go, tools.go_version, tools.folder):
        cached.cache_clear()


def test_a_built_program_is_found_again_without_building(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(tmp_path / "bin", monkeypatch)
    built = tools.path("kubeconform")
    fake_go(tmp_path / "bin", monkeypatch, build="exit 1")

    assert tools.path("kubeconform") == built
    assert built.read_text() == "x\n"


def test_progress_says_what_is_built_how_far_and_how_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(tmp_path / "bin", monkeypatch)
    lines: list[str] = []

    tools.path("helm3", lines.append)

    assert lines[0] == "building helm3 (1 of 1): up to 70 s the first time, a few when only linked again"
    assert lines[1].startswith("built helm3 in ")


def test_a_failed_build_names_its_log_and_leaves_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(tmp_path / "bin", monkeypatch, build='echo half >"$2"; echo "undefined: x" >&2; exit 1')

    with pytest.raises(
        NodeError, match=r"building kubeconform failed \(exit 1\): read .*build-kubeconform.log"
    ) as caught:
        tools.path("kubeconform")

    assert "undefined: x" in caught.value.details
    assert not (tools.folder("kubeconform") / "kubeconform").exists()


def test_a_full_disk_is_said_to_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(tmp_path / "bin", monkeypatch, build='echo "write x: no space left on device" >&2; exit 1')

    with pytest.raises(NodeError, match="the disk is full"):
        tools.path("kubeconform")


def test_what_a_killed_build_left_is_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(tmp_path / "bin", monkeypatch)
    folder = tools.folder("kubeconform")
    folder.mkdir(parents=True)
    (folder / ".kubeconform").write_text("hal")

    assert tools.path("kubeconform").read_text() == "x\n"
    assert [file.name for file in folder.iterdir()] == ["kubeconform"]


def test_without_go_one_sentence_says_which_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)

    with pytest.raises(NodeError, match=r"Go is not installed: install Go 1\.\d+\.\d+ or newer"):
        tools.path("kubectl")


def test_an_old_go_is_refused_with_both_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(tmp_path / "bin", monkeypatch, version="go1.22.3")

    with pytest.raises(NodeError, match=rf"Go 1\.22\.3 at .* is too old: Go {tools.required_go()} or newer"):
        tools.path("kubectl")


def test_a_go_too_old_for_a_module_that_is_not_built_is_good_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "sources"
    for module, version in {"kubeconform": "1.26.0", "helm3": "1.30.0"}.items():
        (sources / "optional" / module).mkdir(parents=True)
        (sources / "optional" / module / "go.mod").write_text(f"module x\n\ngo {version}\n")
        (sources / "optional" / module / "go.sum").write_text("")
    monkeypatch.setattr(paths, "SOURCE", sources)
    fake_go(tmp_path / "bin", monkeypatch, version="go1.26.3")

    assert tools.path("kubeconform").exists()
    with pytest.raises(NodeError, match=r"Go 1\.26\.3 at .* is too old: Go 1\.30\.0 or newer"):
        tools.path("helm3")


def test_a_tool_that_nobody_builds_is_refused_with_those_that_are() -> None:
    with pytest.raises(NodeError, match=r"no tool is called 'kubectx'; there are .*helm3.*skaffold"):
        tools.path("kubectx")


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("go1.26.8", (1, 26, 8)),
        ("1.27rc1", (1, 27)),
        ("go1.26.8-X:nocoverage", (1, 26, 8)),
        ("go1.26.1 linux", (1, 26, 1)),
    ],
)
def test_versions_of_go_are_read(version: str, numbers: tuple[int, ...]) -> None:
    assert tools.numbers(version) == numbers


def test_every_input_of_a_build_changes_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = tmp_path / "sources"
    (sources / "optional/kubeconform").mkdir(parents=True)
    for name in ("go.mod", "go.sum"):
        (sources / "optional/kubeconform" / name).write_text(f"{name} 1\ngo 1.26.0\n")
    monkeypatch.setattr(paths, "SOURCE", sources)
    monkeypatch.setattr(tools, "required_go", lambda _module: "1.26.0")
    fake_go(tmp_path / "bin", monkeypatch)
    seen = {tools.folder("kubeconform")}

    for change in ("go.mod", "go.sum"):
        with (sources / "optional/kubeconform" / change).open("a") as file:
            file.write("// changed\n")
        tools.folder.cache_clear()
        seen.add(tools.folder("kubeconform"))
    fake_go(tmp_path / "bin", monkeypatch, version="go1.99.1")
    seen.add(tools.folder("kubeconform"))
    monkeypatch.setitem(tools.ALL, "kubeconform", tools.Tool("other/package", 3, "kubeconform"))
    tools.folder.cache_clear()
    seen.add(tools.folder("kubeconform"))

    assert len(seen) == 5


def test_a_tool_of_one_module_does_not_rebuild_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(tmp_path / "bin", monkeypatch)
    before = tools.folder("registry")
    monkeypatch.setitem(tools.ALL, "kubeconform", tools.Tool("other/package", 3, "kubeconform"))
    tools.folder.cache_clear()

    assert tools.folder("registry") == before


def test_every_module_names_the_packages_that_are_built_from_it() -> None:
    for name, tool in tools.ALL.items():
        assert tool.package in (tools.source(tool.module) / "go.mod").read_text(), name
        assert (tools.source(tool.module) / "go.sum").stat().st_size > 0


def test_every_optional_module_has_a_user() -> None:
    used = {tool.module for tool in tools.ALL.values()} | {"gateway-api", "keda"}

    assert {folder.name for folder in (paths.SOURCE / "optional").iterdir()} == used - {""}


def test_a_build_never_changes_what_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(tmp_path / "bin", monkeypatch)

    assert {"-mod=readonly", "-trimpath"} <= set(tools.command(tools.ALL["kubeconform"], Path("out")))


def test_builds_read_nothing_of_the_users_go_settings() -> None:
    assert tools.environment() == {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local"}


def test_folders_that_nothing_asked_for_in_weeks_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(tmp_path / "bin", monkeypatch)
    old, young = paths.cache() / "bin/node-old", paths.cache() / "bin/node-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (0, time.time() - tools.KEEP_SECONDS - 60))

    tools._build(["kubeconform"], silent)

    assert not old.exists()
    assert young.exists()
