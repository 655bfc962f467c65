"""containerd with runc and the CNI plugins, and the images that it holds before any pull."""

import json
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from k8s.node import files, paths, tools
from k8s.node.commands import run
from k8s.node.processes import start, wait

PIN = "io.cri-containerd.pinned=pinned"
"""The label that keeps the kubelet's garbage collection away from an image nobody could pull again."""


def start_containerd(sandbox_image: str) -> None:
    """Configure and start containerd; it answers when this returns."""
    state = paths.state()
    files.write(state / "cni" / "10-bridge.conflist", _cni())
    files.write(state / "containerd.toml", _config(sandbox_image))
    files.write(
        state / "certs.d" / paths.REGISTRY / "hosts.toml",
        f'server = "http://{paths.REGISTRY}"\n[host."http://{paths.REGISTRY}"]\n  capabilities = ["pull", "resolve"]\n',
    )
    command: list[str | Path] = [tools.path("containerd"), "-c", state / "containerd.toml"]
    start("containerd", command, inputs=[state / "containerd.toml"])
    wait("containerd answers", _answers, part="containerd")


def _answers() -> str:
    return "" if ctr("version", check=False).returncode == 0 else "it does not answer on its socket"


def ctr(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run containerd's own client in the kubelet's namespace."""
    command: list[str | Path] = [tools.path("ctr"), "-a", paths.containerd_socket(), "-n", "k8s.io", *words]
    return run(command, check=check, timeout_seconds=300)


def running_containers() -> set[str]:
    """Ids of the containers that run here now, whatever the API server still believes."""
    lines = ctr("tasks", "ls").stdout.splitlines()[1:]
    return {line.split()[0] for line in lines if line.split()[2:3] == ["RUNNING"]}


def load(images: Mapping[str, Path]) -> None:
    """Import image archives (by the image's name) unless those very archives were imported before."""
    marks_file = paths.state() / "containerd" / "loaded.json"
    marks: dict[str, str] = json.loads(marks_file.read_text()) if marks_file.exists() else {}
    present = set(ctr("images", "ls", "-q").stdout.split())
    wanted = {ref: file for ref, file in images.items() if marks.get(ref) != file.name or ref not in present}
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_import, wanted, wanted.values()))
    files.write(marks_file, {ref: file.name for ref, file in images.items()})


def _import(ref: str, archive: Path) -> None:
    ctr("images", "import", str(archive))
    ctr("images", "label", ref, PIN)


def _cni() -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "dataDir": str(paths.state() / "cni-data"),
        "ranges": [[{"subnet": paths.PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": paths.NAME, "plugins": [bridge, ports]}


def _config(sandbox_image: str) -> str:
    programs = tools.bin_folder()
    return f"""version = 3
root = "{paths.state()}/containerd"
state = "{paths.run()}/containerd"
[grpc]
  address = "{paths.containerd_socket()}"
[plugins."io.containerd.nri.v1.nri"]
  disable = true                   # it would listen outside the state folder
[plugins."io.containerd.internal.v1.opt"]
  path = "{paths.state()}/containerd/opt"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{sandbox_image}"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "{paths.state()}/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true    # lowering it needs CAP_SYS_RESOURCE, which not every machine gives
  netns_mounts_under_state_dir = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["{programs}"]
  conf_dir = "{paths.state()}/cni"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  BinaryName = "{programs}/runc"
  Root = "{paths.run()}/runc"
  SystemdCgroup = false
"""


def shim_sockets() -> list[Path]:
    """The sockets of containerd's shims, which lie outside its folders."""
    sockets = []
    for file in paths.run().glob("containerd/io.containerd.runtime.v2.task/k8s.io/*/bootstrap.json"):
        address = str(json.loads(file.read_text()).get("address", ""))
        sockets.append(Path(address.removeprefix("unix://")))
    return sockets
