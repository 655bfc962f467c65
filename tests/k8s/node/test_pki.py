"""Keys and certificates: made once, renewed near their end, data kept."""

import json
import shutil
import time
from pathlib import Path

import pytest

from k8s.node import paths, pki
from k8s.node.commands import run

DAY = 86400


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything made once: thirty runs of openssl are most of this file's time."""
    state = tmp_path_factory.mktemp("made") / "state"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("SLIPWAY_NODE_STATE", str(state))
        pki.prepare()
    return state


@pytest.fixture
def folder(state: Path, made: Path) -> Path:
    shutil.copytree(made, state)
    return state / "pki"


@pytest.mark.parametrize(("days_left", "is_due"), [(61, False), (60, False), (59.9, True), (0, True), (-3, True)])
def test_a_certificate_is_due_when_fewer_days_are_left_than_asked_for(days_left: float, is_due: bool) -> None:
    assert pki.is_due(1_000_000_000, 1_000_000_000 - days_left * DAY, 60) is is_due


def test_everything_is_made_once(folder: Path) -> None:
    before = {file: file.read_bytes() for file in folder.iterdir()}

    assert pki.prepare() == []

    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_leaves_near_their_end_are_renewed_and_keep_their_keys(folder: Path) -> None:
    keys = {file: file.read_bytes() for file in folder.glob("*.key")}
    old = (folder / "apiserver.crt").read_bytes()

    renewed = pki.prepare(now=time.time() + (pki.LEAF_DAYS - pki.LEAF_RENEW_DAYS + 1) * DAY)

    assert renewed == list(pki.LEAVES)
    assert (folder / "apiserver.crt").read_bytes() != old
    assert {file: file.read_bytes() for file in folder.glob("*.key")} == keys


def test_a_renewed_authority_still_vouches_for_what_the_old_one_signed(folder: Path) -> None:
    old = (folder / "ca.crt").read_bytes()
    kept = folder.parent / "old-apiserver.crt"
    kept.write_bytes((folder / "apiserver.crt").read_bytes())

    renewed = pki.prepare(now=time.time() + (pki.CA_DAYS - pki.CA_RENEW_DAYS + 1) * DAY)

    assert "ca" in renewed
    assert (folder / "ca.crt").read_bytes() != old
    assert run(["openssl", "verify", "-CAfile", folder / "ca.crt", kept], check=False).returncode == 0


def test_service_account_keys_outlive_every_renewal(folder: Path) -> None:
    before = (folder / "sa.key").read_bytes(), (folder / "sa.pub").read_bytes()

    pki.prepare(now=time.time() + pki.CA_DAYS * DAY)

    assert ((folder / "sa.key").read_bytes(), (folder / "sa.pub").read_bytes()) == before


def test_a_lost_authority_key_makes_everything_new(folder: Path) -> None:
    (folder / "ca.key").unlink()

    assert pki.prepare() == ["ca", *pki.LEAVES]


def test_a_half_written_certificate_is_made_again(folder: Path) -> None:
    (folder / "kubelet.crt").write_text("-----BEGIN CERTIFICATE-----\nMII")

    assert pki.prepare() == ["kubelet"]


def test_other_names_make_another_certificate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pki.LEAVES, "kubelet", ("/CN=system:node:slipway", ("DNS:other",)))

    assert pki.prepare() == ["kubelet"]
    text = run(["openssl", "x509", "-noout", "-text", "-in", folder / "kubelet.crt"]).stdout
    assert "DNS:other" in text


def test_the_api_server_is_known_by_every_name_clients_use(folder: Path) -> None:
    text = run(["openssl", "x509", "-noout", "-text", "-in", folder / "apiserver.crt"]).stdout

    for name in ("DNS:kubernetes.default.svc", "DNS:localhost", "IP Address:10.96.0.1", "IP Address:172.31.255.2"):
        assert name in text


def test_private_keys_and_kubeconfigs_are_for_their_owner_only(folder: Path) -> None:
    private = [*folder.glob("*.key"), *folder.glob("*.conf"), paths.kubeconfig()]

    assert {oct(file.stat().st_mode & 0o777) for file in private} == {"0o600"}
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("folder")
def test_the_administrators_kubeconfig_reaches_the_node_from_the_host() -> None:
    config = json.loads(paths.kubeconfig().read_text())

    assert config["clusters"][0]["cluster"]["server"] == "https://172.31.255.2:6443"
