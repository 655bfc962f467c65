"""Keys and certificates of the node: made once, renewed by `up` when near their end."""

import base64
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

from k8s.node import files, paths
from k8s.node.commands import run

CA_DAYS, LEAF_DAYS = 3650, 365
CA_RENEW_DAYS, LEAF_RENEW_DAYS = 400, 60
"""Renewed when fewer days are left; the authority outlives each certificate that it signs."""

_API_NAMES = [
    "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost",
]  # fmt: skip
_API_ADDRESSES = ["127.0.0.1", paths.API_SERVICE, paths.NODE_IP]

LEAVES: dict[str, tuple[str, Sequence[str]]] = {
    "apiserver": (
        "/CN=kube-apiserver",
        [*(f"DNS:{name}" for name in _API_NAMES), *(f"IP:{address}" for address in _API_ADDRESSES)],
    ),
    "admin": ("/O=system:masters/CN=admin", ()),
    "controller-manager": ("/CN=system:kube-controller-manager", ()),
    "scheduler": ("/CN=system:kube-scheduler", ()),
    "proxy": ("/CN=system:kube-proxy", ()),
    "kubelet": (f"/O=system:nodes/CN=system:node:{paths.NAME}", (f"DNS:{paths.NAME}", f"IP:{paths.NODE_IP}")),
    "front-proxy": ("/CN=front-proxy", ()),
}
"""Name of the files, subject, and names the certificate is good for."""

IN_NAMESPACE = ("controller-manager", "scheduler", "proxy", "kubelet")
"""Those with a kubeconfig that points at the API server's loopback."""


def prepare(now: float | None = None) -> list[str]:
    """Make what is missing, renew what is near its end; the names of what was made or renewed."""
    folder = paths.pki()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    at = time.time() if now is None else now
    made = [name for name in ("ca",) if _authority(folder, at)]
    _service_account_keys(folder)
    made += [name for name, (subject, names) in LEAVES.items() if _leaf(folder, name, subject, names, at)]
    for name in IN_NAMESPACE:
        _kubeconfig(folder / f"{name}.conf", name, "https://127.0.0.1:6443")
    _kubeconfig(paths.kubeconfig(), "admin", f"https://{paths.NODE_IP}:6443")
    return made


def certificate(name: str) -> Path:
    """The file of a certificate."""
    return paths.pki() / f"{name}.crt"


def key(name: str) -> Path:
    """The file of a private key."""
    return paths.pki() / f"{name}.key"


def is_due(not_after: float, now: float, days: int) -> bool:
    """Whether a certificate that ends at `not_after` (seconds since 1970) has fewer than `days` left."""
    return not_after - now < days * 86400


def not_after(certificate_file: Path) -> float:
    """When a certificate ends, in seconds since 1970; 0 when it cannot be read."""
    done = run(["openssl", "x509", "-noout", "-enddate", "-in", certificate_file], check=False)
    end = done.stdout.strip().removeprefix("notAfter=")
    return float(ssl.cert_time_to_seconds(end)) if done.returncode == 0 else 0.0


def _authority(folder: Path, now: float) -> bool:
    """A new certificate for the same key: what the old one signed stays good."""
    crt = folder / "ca.crt"
    if (folder / "ca.key").exists() and crt.exists() and not is_due(not_after(crt), now, CA_RENEW_DAYS):
        return False
    _ensure_key(folder / "ca.key")
    subject, usage = f"/CN={paths.NAME}-node-ca", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"
    request = ["req", "-x509", "-new", "-key", folder / "ca.key", "-subj", subject, "-addext", usage]
    _openssl(crt, [*request, "-days", CA_DAYS])
    return True


def _leaf(folder: Path, name: str, subject: str, names: Sequence[str], now: float) -> bool:
    crt = folder / f"{name}.crt"
    extensions = "extendedKeyUsage=serverAuth,clientAuth\n" + (f"subjectAltName={','.join(names)}\n" if names else "")
    wanted = folder / f"{name}.ext"
    is_same = wanted.exists() and wanted.read_text() == extensions
    if crt.exists() and is_same and _signed_by_us(folder, crt) and not is_due(not_after(crt), now, LEAF_RENEW_DAYS):
        return False
    _ensure_key(folder / f"{name}.key")
    draft = folder / f".{name}.ext"
    draft.write_text(extensions)
    request = folder / f"{name}.csr"
    _openssl(request, ["req", "-new", "-key", folder / f"{name}.key", "-subj", subject])
    authority = ["-CA", folder / "ca.crt", "-CAkey", folder / "ca.key"]
    _openssl(crt, ["x509", "-req", "-in", request, *authority, "-days", LEAF_DAYS, "-extfile", draft])
    draft.replace(wanted)  # last: it says what the certificate beside it is good for
    return True


def _signed_by_us(folder: Path, crt: Path) -> bool:
    # no time check: only the signature is asked about, is_due judges the end
    check: list[str | Path] = ["openssl", "verify", "-no_check_time", "-CAfile", folder / "ca.crt", crt]
    return run(check, check=False).returncode == 0


def _service_account_keys(folder: Path) -> None:
    _ensure_key(folder / "sa.key")
    if not (folder / "sa.pub").exists():
        _openssl(folder / "sa.pub", ["ec", "-in", folder / "sa.key", "-pubout"])


def _ensure_key(file: Path) -> None:
    if not file.exists():
        _openssl(file, ["ecparam", "-name", "prime256v1", "-genkey", "-noout"])
        file.chmod(0o600)


def _openssl(output: Path, words: Sequence[object]) -> None:
    draft = output.with_name(f".{output.name}")  # so that a killed `up` leaves no half file
    run(["openssl", *map(str, words), "-out", draft])
    draft.chmod(0o600 if output.suffix == ".key" else 0o644)
    draft.replace(output)


def _kubeconfig(file: Path, name: str, server: str) -> None:
    def data(source: Path) -> str:
        return base64.b64encode(source.read_bytes()).decode()

    cluster = {"server": server, "certificate-authority-data": data(certificate("ca"))}
    user = {"client-certificate-data": data(certificate(name)), "client-key-data": data(key(name))}
    files.write(
        file,
        {
            "apiVersion": "v1", "kind": "Config", "current-context": paths.NAME,
            "clusters": [{"name": paths.NAME, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": paths.NAME, "context": {"cluster": paths.NAME, "user": name}}],
        },
        0o600,
    )  # fmt: skip
