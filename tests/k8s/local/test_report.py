"""The last screen of `up`, and the line of `make push`: what users paste must be right."""

import shlex
from pathlib import Path

import pytest

from k8s.local import paths, push, report
from k8s.local.errors import LocalError

CA = Path("/somewhere/ca.crt")


def curl(line: str) -> list[str]:
    """The words of the curl call inside a line, as a shell would split them."""
    inner = line.split("=$(", 1)[1].rsplit(")", 1)[0] if "=$(" in line else line
    words = shlex.split(inner)
    return words[words.index("curl") : words.index("|")] if "|" in words else words


def test_the_last_screen_names_url_ca_and_cluster_and_has_each_line() -> None:
    screen = report.text("node", "no Docker engine answers", "export KUBECONFIG=/x")

    assert paths.ORIGIN in screen
    assert f"CA file  {paths.ca_certificate()}" in screen
    assert "on node (no Docker engine answers)" in screen
    assert "export KUBECONFIG=/x" in screen
    for line in (report.token_command, report.create_command, report.read_command):
        assert f"\n  {line(paths.ca_certificate())}\n" in screen


def test_the_administrators_file_is_named_for_as_long_as_it_is_there() -> None:
    assert str(paths.administrator()) not in report.text("node", "", "")
    paths.administrator().parent.mkdir(parents=True)
    paths.administrator().write_text("e-mail: …")

    assert f"\n  {paths.administrator()}\n" in report.text("node", "", "")


@pytest.mark.parametrize("line", [report.token_command(CA), report.create_command(CA), report.read_command(CA)])
def test_every_line_trusts_the_local_ca_and_fails_loudly(line: str) -> None:
    words = curl(line)

    assert words[words.index("--cacert") + 1] == str(CA)
    assert "-fsS" in words
    assert not {"-k", "--insecure"} & set(words)


def test_a_token_is_asked_for_by_the_client_of_the_file_so_that_no_secret_is_on_a_command_line() -> None:
    words = curl(report.token_command(CA))

    assert words[words.index("-K") + 1] == str(paths.client())
    assert "-u" not in words
    assert words[-1] == "https://slipway.localhost:8443/oauth2/token"


def test_push_prints_a_line_that_installs_what_was_pushed() -> None:
    words = shlex.split(push.install_line("registry.example.com/team", "1.2.3").replace("\\\n", " "))

    assert words[:4] == ["helm", "upgrade", "--install", "slipway"]
    assert "global.image.registry=registry.example.com/team" in words
    assert "global.image.tag=1.2.3" in words


@pytest.mark.parametrize(
    ("registry", "tag", "reason"),
    [
        ("", "1.0", "REGISTRY="),
        ("https://registry.example.com", "1.0", "is not a registry"),
        ("Registry.example.com/Team", "1.0", "in lower case"),
        ("registry.example.com", "", "TAG="),
        ("registry.example.com", "a b", "is not a tag"),
        ("registry.example.com", "-1", "is not a tag"),
        ("registry.example.com", "x" * 129, "is not a tag"),
    ],
)
def test_a_registry_or_tag_that_no_image_can_have_is_refused(registry: str, tag: str, reason: str) -> None:
    with pytest.raises(LocalError, match=reason):
        push.check(registry, tag)


@pytest.mark.parametrize("registry", ["172.31.255.2:5000", "registry.example.com/team/sub-team", "localhost:5000"])
def test_ordinary_registries_pass(registry: str) -> None:
    push.check(registry, "1.2.3")
