"""A certificate authority for local names only, and the edge's certificate; renewed in time by `up`."""

from pathlib import Path
from tempfile import TemporaryDirectory

from k8s.local import commands, paths

DRAFT = ".making-"
"""Begins the names of folders that a killed `up` may leave."""
CA_DAYS, LEAF_DAYS, RENEW_DAYS = 730, 90, 30

# the constraint (RFC 5280 section 4.2.1.10): who trusts this CA trusts it for *.localhost and nothing else
_CA = """\
basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
nameConstraints=critical,permitted;DNS:localhost
"""

_LEAF = f"""\
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName=DNS:{paths.HOST}
"""


def ensure(folder: Path) -> tuple[Path, Path]:
    """Certificate and key of the edge in `folder`, made or renewed when less than a month is left.

    The CA's certificate is `ca.crt` beside them; a new CA means a new certificate for the edge as well.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if not _good(folder / "ca.crt"):
        _make(folder, "ca", "/CN=Slipway local CA", _CA, CA_DAYS, issuer=None)
        (folder / "edge.crt").unlink(missing_ok=True)
    if not _good(folder / "edge.crt"):
        _make(folder, "edge", f"/CN={paths.HOST}", _LEAF, LEAF_DAYS, issuer="ca")
    return folder / "edge.crt", folder / "edge.key"


def _good(certificate: Path) -> bool:
    if not (certificate.exists() and certificate.with_suffix(".key").exists()):
        return False
    seconds = str(RENEW_DAYS * 86400)
    check = commands.attempt("openssl", "x509", "-noout", "-checkend", seconds, "-in", certificate)
    return check.returncode == 0


def _make(folder: Path, name: str, subject: str, extensions: str, days: int, *, issuer: str | None) -> None:
    """Write `name`.key and `name`.crt, signed by `issuer` or by itself; both appear whole or not at all."""
    with TemporaryDirectory(dir=folder, prefix=DRAFT) as temporary:
        work = Path(temporary)
        key, request, certificate, extension = (work / f"{name}.{end}" for end in ("key", "csr", "crt", "ext"))
        extension.write_text(extensions)
        commands.run(
            "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", key, "-out", request, "-subj", subject,
        )  # fmt: skip
        signer: list[commands.Argument] = ["-signkey", key]
        if issuer:
            signer = ["-CA", folder / f"{issuer}.crt", "-CAkey", folder / f"{issuer}.key"]
        commands.run(
            "openssl", "x509", "-req", "-in", request, *signer, "-set_serial", f"0x{_serial()}",
            "-days", str(days), "-extfile", extension, "-out", certificate,
        )  # fmt: skip
        key.chmod(0o600)
        key.replace(folder / key.name)
        certificate.replace(folder / certificate.name)


def _serial() -> str:
    """127 random bits: positive and within 20 octets (RFC 5280 section 4.1.2.2)."""
    return f"1{commands.run('openssl', 'rand', '-hex', '15').strip()}"
