"""Bring the node up, take it down, look at it."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from k8s.node import (
    addons,
    archives,
    builds,
    containerd,
    control_plane,
    disk,
    files,
    images,
    kubelet,
    leftovers,
    mounts,
    network,
    packages,
    paths,
    pki,
    processes,
    tools,
)
from k8s.node.archives import Archive
from k8s.node.errors import NodeError
from k8s.node.progress import Progress, silent
from k8s.node.registry import start_registry

PARTS = (
    "etcd", "containerd", "registry", "apiserver", "controller-manager", "scheduler", "kubelet", "proxy", "policies",
)  # fmt: skip
KEPT = ("etcd", "pki", "volumes", "registry")
"""What `down` leaves with keep_data: etcd's data, keys, volumes, pushed images."""
MADE = (
    *KEPT, "admin.conf", "certs.d", "cni", "cni-data", "containerd", "containerd.toml", "kubelet", "kubelet.yaml",
    "log", "pod-logs", "proxy.yaml", "registry.yaml", "resolv.conf", "run",
)  # fmt: skip
"""All that `up` writes into the state folder, so that `down` never deletes anything else in it."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BUSY = "another `up` or `down` of the node is running ({holder}): wait for it or end it first"


def up(progress: Progress = silent) -> None:
    """Bring everything up and wait until it works; seconds when it already does.

    Builds what is missing (tools, base images), starts or heals the parts, loads the postgres and redis
    images, applies the add-ons. Raises NodeError with the cause and the log to read.
    """
    _refuse_non_root()
    with files.lock(_lock_file(), BUSY):
        _prepare(progress)
        tools.build(progress)
        loaded = archives.ensure(progress)
        begin = time.monotonic()
        if renewed := pki.prepare():
            progress(f"certificates made: {', '.join(renewed)}")
        _start(loaded, progress)
        addons.wait_available(progress)
        progress(f"node ready {time.monotonic() - begin:.0f} s after its programs were there")


def _prepare(progress: Progress) -> None:
    """All that can fail for a reason of this machine's comes first: a cold build takes many minutes."""
    _refuse_foreign_node()
    tools.check_go()
    disk.check(needs())
    files.claim(paths.state(), paths.STATE_VARIABLE)
    packages.ensure(progress, packages.TO_RUN, packages.TO_BUILD, packages.FOR_IMAGES)
    processes.CGROUPS.prepare()
    _forget_last_boot()
    network.check_kernel()
    network.prepare()
    network.check_filters()
    archives.fetch(progress)


def _start(loaded: dict[str, Archive], progress: Progress) -> None:
    control_plane.start_etcd()
    start_registry()
    containerd.start_containerd(loaded["pause"].ref)
    with ThreadPoolExecutor(1) as pool:  # importing images takes as long as all that needs no image
        loading = pool.submit(containerd.load, {image.ref: image.file for image in loaded.values()})
        control_plane.start_apiserver()
        progress("API server ready")
        control_plane.start_controllers()
        addons.apply(loaded)
        progress("add-ons applied")
        loading.result()
    progress("images loaded")
    kubelet.start_kubelet()
    kubelet.start_proxy()
    kubelet.start_policies()
    progress("node ready, service rules in place; waiting for the add-ons")


def needs() -> dict[Path, float]:
    """Gigabytes that an `up` takes, by folder.

    Estimated upwards from what lies there after a day of work with every optional program built as well: 8 and
    6 in Go's two caches, 6 in the node's cache, 4 in its state.
    """
    if not tools.is_cold():
        return {paths.cache(): 1, paths.state(): 3}
    built, modules = tools.go_folders()
    return {built: 6, modules: 4, paths.cache(): 4, paths.state(): 4}


def _refuse_non_root() -> None:
    if os.geteuid():
        raise NodeError("root is needed for network namespaces, mounts and containers: run it as root or with sudo")


def _refuse_foreign_node() -> None:
    if folder := processes.foreign_state():
        raise NodeError(f"a node of another state folder runs on this machine: set SLIPWAY_NODE_STATE={folder}")


def _lock_file() -> Path:
    return paths.state().with_name(f"{paths.state().name}.lock")


def _forget_last_boot() -> None:
    """Sockets, stamps and containerd's running state mean nothing after a reboot, and mislead."""
    mark, boot = paths.run() / "boot-id", BOOT_ID.read_text()
    if paths.run().exists() and (not mark.exists() or mark.read_text() != boot):
        _delete(paths.run())
    files.write(mark, boot)


def down(*, keep_data: bool = False, progress: Progress = silent) -> None:
    """End the node and leave nothing behind, whatever state it is in.

    With keep_data etcd's data, keys, volumes and the registry's images stay for the next `up`.
    """
    _refuse_non_root()
    with files.lock(_lock_file(), BUSY), builds.none_at_work():
        _refuse_foreign_node()
        _stop_parts(progress)
        images.prune()
        if left := mounts.release([paths.state(), paths.cache()]):
            raise NodeError(f"still mounted: {', '.join(map(str, left))}; `umount` says why, then run down again")
        network.remove()
        if stuck := processes.CGROUPS.remove():
            raise NodeError(f"control groups that cannot be removed: {'; '.join(stuck)}")
        leftovers.remove_outside()
        _delete_state(keep_data=keep_data, progress=progress)
        shutil.rmtree(paths.cache() / "tmp", ignore_errors=True)
        progress("down" + (f"; data kept in {paths.state()}" if keep_data else ", nothing left"))
    if not paths.state().exists():
        _lock_file().unlink(missing_ok=True)


def _stop_parts(progress: Progress) -> None:
    """First those that start or change things, then containers, then the store with time to write."""
    if not processes.CGROUPS.tracking.exists():
        return
    progress("stopping")
    for part in ("policies", "proxy", "kubelet", "controller-manager", "scheduler", "apiserver", "registry"):
        processes.stop(part, seconds=2)  # the API server would wait longer for watches that nobody ends
    processes.stop("etcd", seconds=20)
    progress("stopping containers")
    processes.end_all()


def _delete_state(*, keep_data: bool, progress: Progress = silent) -> None:
    if not files.is_claimed(paths.state(), paths.STATE_VARIABLE):
        if paths.state().exists():
            progress(f"{paths.state()} is left as it is: it has no mark that `up` made it")
        return
    for name in MADE:
        if not (keep_data and name in KEPT):
            _delete(paths.state() / name)
    files.release(paths.state())  # unless something of others, or what is kept, is in it


def _delete(path: Path) -> None:
    """Delete a file or a tree, but never through a mount into what is mounted there."""
    if mounts.below([path]) and mounts.release([path]):
        raise NodeError(f"{path} is in use: something is mounted below it")
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def status() -> dict[str, int | None]:
    """Each part and the id of its process, None when it does not run."""
    return {part: processes.running(part) for part in PARTS}


def kubeconfig() -> Path:
    """The administrator's kubeconfig; it exists once `up` has run."""
    return paths.kubeconfig()


def registry() -> str:
    """`host:port` of the node's registry, plain HTTP, reachable from this host and from the node."""
    return paths.REGISTRY


def address() -> str:
    """The address where the edge answers on 80 and 443."""
    return paths.NODE_IP
