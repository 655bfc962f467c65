"""The local CA: trusted for local names only, renewed in time, never half written."""

import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from k8s.local import certificates, paths


def handshake(folder: Path, name: str = paths.HOST) -> None:
    """A TLS client, as strict as Python's newest, against a server with the edge's certificate."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "edge.crt", folder / "edge.key")
    client = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    near, far = socket.socketpair()

    def answer() -> None:
        try:
            server.wrap_socket(far, server_side=True).close()
        except OSError:
            far.close()  # the client refused

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        client.wrap_socket(near, server_hostname=name).close()
    finally:
        near.close()
        thread.join(10)


def text(certificate: Path) -> str:
    return subprocess.run(
        ["openssl", "x509", "-noout", "-text", "-in", certificate], check=True, capture_output=True, text=True
    ).stdout


def test_a_strict_client_that_trusts_the_ca_believes_the_edge(tmp_path: Path) -> None:
    certificates.ensure(tmp_path)

    handshake(tmp_path)


def test_the_edge_is_believed_under_its_own_name_only(tmp_path: Path) -> None:
    certificates.ensure(tmp_path)

    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        handshake(tmp_path, "elsewhere.localhost")


def test_the_ca_is_worth_nothing_for_other_domains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stolen CA key must not open the rest of the world to whoever trusts this CA."""
    monkeypatch.setattr(certificates, "_LEAF", certificates._LEAF.replace(paths.HOST, "bank.example.com"))
    certificates.ensure(tmp_path)

    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(tmp_path, "bank.example.com")


def test_nothing_is_made_anew_while_it_is_good(tmp_path: Path) -> None:
    certificate, key = certificates.ensure(tmp_path)
    before = (certificate.read_text(), key.read_text(), (tmp_path / "ca.crt").read_text())

    certificates.ensure(tmp_path)

    assert (certificate.read_text(), key.read_text(), (tmp_path / "ca.crt").read_text()) == before


def test_the_edges_certificate_is_renewed_before_it_ends_and_the_ca_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "LEAF_DAYS", certificates.RENEW_DAYS - 1)
    certificate, _ = certificates.ensure(tmp_path)
    old, ca = certificate.read_text(), (tmp_path / "ca.crt").read_text()
    monkeypatch.undo()

    certificates.ensure(tmp_path)

    assert certificate.read_text() != old
    assert (tmp_path / "ca.crt").read_text() == ca
    handshake(tmp_path)


def test_a_ca_near_its_end_is_renewed_with_all_it_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "CA_DAYS", certificates.RENEW_DAYS - 1)
    certificates.ensure(tmp_path)
    old = (tmp_path / "ca.crt").read_text()
    monkeypatch.undo()

    certificates.ensure(tmp_path)

    assert (tmp_path / "ca.crt").read_text() != old
    handshake(tmp_path)


def test_keys_are_for_the_owner_only(tmp_path: Path) -> None:
    certificates.ensure(tmp_path / "state")

    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert {(tmp_path / "state" / name).stat().st_mode & 0o777 for name in ("ca.key", "edge.key")} == {0o600}


def test_a_damaged_certificate_is_replaced(tmp_path: Path) -> None:
    certificates.ensure(tmp_path)
    (tmp_path / "edge.crt").write_text("")

    certificates.ensure(tmp_path)

    assert paths.HOST in text(tmp_path / "edge.crt")
    handshake(tmp_path)
