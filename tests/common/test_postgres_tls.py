"""How the connection is encrypted, and whom it believes."""

import datetime as dt
import ipaddress
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from services.common.postgres import (
    AwayError,
    open_postgres,
    ping,
)
from tests.common.querying import Settings
from tests.support.servers import postgres_server


def certificate(folder: Path, name: str) -> None:
    """A self-signed certificate of `name` for 127.0.0.1: its own authority."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    alternatives = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(pem)
    (folder / f"{name}.key").chmod(0o600)
    (folder / f"{name}.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))


@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="needs a server of its own")
async def test_sslmode_means_what_it_means_to_libpq(tmp_path: Path) -> None:
    for name in ("server", "stranger"):
        certificate(tmp_path, name)
    with postgres_server(certificate=(tmp_path / "server.crt", tmp_path / "server.key")) as server:
        own, other = tmp_path / "server.crt", tmp_path / "stranger.crt"
        for query, encrypted in {
            "sslmode=disable": False,
            "sslmode=prefer": True,
            "sslmode=require": True,
            f"sslmode=verify-ca&sslrootcert={own}": True,
            f"sslmode=verify-full&sslrootcert={own}": True,
        }.items():
            url = Settings(database_url=f"{server.url}?{query}")
            async with open_postgres(url, CollectorRegistry()) as engine, engine.connect() as c:
                found = await c.scalar(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
                assert found is encrypted, query

        wrong = f"{server.url}?sslmode=verify-full&sslrootcert={other}"
        async with open_postgres(Settings(database_url=wrong), CollectorRegistry()) as engine:
            with pytest.raises(AwayError, match="SSLCertVerificationError"):
                await ping(engine)
