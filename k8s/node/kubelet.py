"""What makes this machine a node: kubelet, kube-proxy, and kube-router for network policies."""

from k8s.node import api, files, paths, pki, tools
from k8s.node.processes import start, wait

REPORT_SECONDS = 5


def start_kubelet() -> None:
    """The kubelet, its node ready when this returns."""
    state, folder = paths.state(), paths.pki()
    files.write(state / "resolv.conf", "nameserver 127.0.0.1\n")  # nothing outside is to be found
    files.write(state / "kubelet.yaml", _configuration())
    start(
        "kubelet",
        [
            tools.path("kubelet"), f"--config={state}/kubelet.yaml", f"--kubeconfig={folder}/kubelet.conf",
            f"--hostname-override={paths.NAME}", f"--node-ip={paths.NODE_IP}", f"--root-dir={state}/kubelet",
        ],
        inputs=[state / "kubelet.yaml", folder / "kubelet.conf", pki.certificate("ca"), pki.certificate("kubelet")],
    )  # fmt: skip
    wait("node ready", api.node_ready, part="kubelet")


def _configuration() -> dict[str, object]:
    state, folder = paths.state(), paths.pki()
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{folder}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{folder}/kubelet.crt",
        "tlsPrivateKeyFile": f"{folder}/kubelet.key",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{paths.NAME}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [paths.DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{paths.containerd_socket()}",
        "resolvConf": f"{state}/resolv.conf",
        "podLogsDir": f"{state}/pod-logs",
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "2%", "imagefs.available": "2%"},
        "imageGCHighThresholdPercent": 100,  # never for space: another program may have filled the disk
        "imageMaximumGCAge": "12h0m0s",  # images of old pushes go; the pinned ones stay
        "nodeStatusUpdateFrequency": f"{REPORT_SECONDS}s",
    }


def start_proxy() -> None:
    """kube-proxy: service addresses, its rules in place when this returns."""
    files.write(
        paths.state() / "proxy.yaml",
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clusterCIDR": paths.PODS,
            "hostnameOverride": paths.NAME,
            "clientConnection": {"kubeconfig": f"{paths.pki()}/proxy.conf"},
            "bindAddress": paths.NODE_IP,
            "healthzBindAddress": "127.0.0.1:10256",
            "conntrack": {"maxPerCore": 0, "min": 0},  # the host's table is not ours to resize
        },
    )
    inputs = [paths.state() / "proxy.yaml", paths.pki() / "proxy.conf"]
    start("proxy", [tools.path("kube-proxy"), f"--config={paths.state()}/proxy.yaml"], inputs=inputs)
    wait("service rules in place", api.answers("http://127.0.0.1:10256/healthz"), part="proxy")


def start_policies() -> None:
    """kube-router as a firewall only; traffic from the node itself is always admitted."""
    start(
        "policies",
        [
            tools.path("kube-router"), f"--kubeconfig={paths.kubeconfig()}", "--run-router=false",
            "--run-firewall=true", "--run-service-proxy=false", f"--hostname-override={paths.NAME}",
            f"--service-cluster-ip-range={paths.SERVICES}", "--iptables-sync-period=60s",
            "--health-port=0", "--metrics-port=0",
        ],
        inputs=[paths.kubeconfig()],
    )  # fmt: skip
