"""A one-layer image archive around static programs, without any builder.

The layout is that of `docker save`: manifest.json, the configuration, one layer, all named by their hashes
(OCI image specification 1.1, image configuration: `rootfs.diff_ids`). Same input, same bytes.
"""

import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """This machine's, in the words of images."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def write(output: Path, ref: str, programs: Mapping[str, Path], *, user: str, entrypoint: Sequence[str]) -> None:
    """Write an archive of `programs` (path inside: file here), with an empty /tmp, as `ref`."""
    layer = _layer(programs)
    identity = hashlib.sha256(layer).hexdigest()
    settings = {
        "User": user,
        "Entrypoint": list(entrypoint),
        "WorkingDir": "/",
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
    }
    config = json.dumps(
        {
            "architecture": architecture(),
            "os": "linux",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{identity}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    index = [{"Config": name, "RepoTags": [ref], "Layers": [f"{identity}/layer.tar"]}]
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_name(f".{output.name}.{os.getpid()}")
    with tarfile.open(draft, "w") as archive:
        _add(archive, f"{identity}/layer.tar", layer)
        _add(archive, name, config)
        _add(archive, "manifest.json", json.dumps(index).encode())
    draft.replace(output)


def _layer(programs: Mapping[str, Path]) -> bytes:
    data = io.BytesIO()
    folders = {str(parent) for inside in programs for parent in Path(inside.lstrip("/")).parents} - {"."}
    with tarfile.open(fileobj=data, mode="w") as layer:
        for folder in sorted(folders | {"tmp"}):
            _add(layer, folder, mode=0o1777 if folder == "tmp" else 0o755, kind=tarfile.DIRTYPE)
        for inside, source in sorted(programs.items()):
            _add(layer, inside.lstrip("/"), source.read_bytes(), mode=0o755)
    return data.getvalue()


def _add(
    archive: tarfile.TarFile, name: str, data: bytes = b"", mode: int = 0o644, kind: bytes = tarfile.REGTYPE
) -> None:
    entry = tarfile.TarInfo(name)  # owner 0 and time 0: the same input gives the same archive
    entry.size, entry.mode, entry.type = len(data), mode, kind
    archive.addfile(entry, io.BytesIO(data))
