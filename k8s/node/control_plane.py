"""etcd, API server, controller manager and scheduler."""

from k8s.node import api, paths, pki, tools
from k8s.node.processes import start, wait

ISSUER = "https://kubernetes.default.svc.cluster.local"


def start_etcd() -> None:
    """The store; it syncs to disk, because `--keep-data` and a reboot promise that nothing is lost."""
    options = [f"--data-dir={paths.state()}/etcd", "--log-level=warn", f"--name={paths.NAME}"]
    start("etcd", [str(tools.path("etcd")), *options])


def start_apiserver() -> None:
    """The API server, ready to serve when this returns."""
    wait("etcd answers", api.answers("http://127.0.0.1:2379/readyz"), part="etcd")
    folder = paths.pki()
    start(
        "apiserver",
        [
            tools.path("kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443",
            f"--service-cluster-ip-range={paths.SERVICES}", f"--advertise-address={paths.NODE_IP}",
            "--allow-privileged=true", "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            f"--client-ca-file={folder}/ca.crt",
            f"--tls-cert-file={folder}/apiserver.crt", f"--tls-private-key-file={folder}/apiserver.key",
            f"--service-account-issuer={ISSUER}", f"--service-account-key-file={folder}/sa.pub",
            f"--service-account-signing-key-file={folder}/sa.key",
            f"--kubelet-client-certificate={folder}/admin.crt", f"--kubelet-client-key={folder}/admin.key",
            f"--kubelet-certificate-authority={folder}/ca.crt", "--kubelet-preferred-address-types=InternalIP",
            f"--requestheader-client-ca-file={folder}/ca.crt", "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={folder}/front-proxy.crt", f"--proxy-client-key-file={folder}/front-proxy.key",
            "--enable-aggregator-routing=true",
        ],
        inputs=[pki.certificate(name) for name in ("ca", "apiserver", "admin", "front-proxy")],
        env={"GOMEMLIMIT": "320MiB"},  # it collects harder near that instead of growing to half a gigabyte
    )  # fmt: skip
    wait("API server ready", api.answers("https://127.0.0.1:6443/readyz"), part="apiserver", seconds=120)


def start_controllers() -> None:
    """Controller manager and scheduler; only after the API server gave them their rights."""
    folder = paths.pki()
    start(
        "controller-manager",
        [
            tools.path("kube-controller-manager"), *_identity("controller-manager"),
            f"--root-ca-file={folder}/ca.crt", f"--service-account-private-key-file={folder}/sa.key",
            "--use-service-account-credentials", "--leader-elect=false",
            f"--cluster-signing-cert-file={folder}/ca.crt", f"--cluster-signing-key-file={folder}/ca.key",
            # a developer watches the autoscaler: it looks every 5 s, and believes new pods after 10 s
            "--horizontal-pod-autoscaler-sync-period=5s",
            "--horizontal-pod-autoscaler-initial-readiness-delay=10s",
            "--horizontal-pod-autoscaler-cpu-initialization-period=30s",
        ],
        inputs=[folder / "controller-manager.conf", pki.certificate("ca")],
    )  # fmt: skip
    start(
        "scheduler",
        [tools.path("kube-scheduler"), *_identity("scheduler"), "--leader-elect=false"],
        inputs=[folder / "scheduler.conf"],
    )


def _identity(name: str) -> list[str]:
    options = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    return [f"--{option}={paths.pki()}/{name}.conf" for option in options]
