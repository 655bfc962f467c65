"""This machine's package configuration, handed to an image build as mounts and never kept in the image."""

import configparser
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

CA_INSIDE = "/etc/ssl/certs/ca-certificates.crt"
INSIDE = "/mnt"
"""A folder that every base image has and keeps empty: what is mounted there leaves no mount point behind."""
PIP_INSIDE = f"{INSIDE}/pip.conf"
"""Dockerfiles that call pip take it as the build argument PIP_CONFIG_FILE."""
SOURCES_INSIDE = "/etc/apt/sources.list"
CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
NOT_SETTINGS = ("PIP_CONFIG_FILE", "PIP_CERT", "PIP_REQUIRE_VIRTUALENV", "PIP_TARGET", "PIP_PREFIX", "PIP_CACHE_DIR")
"""Variables that name places on this machine or that would change what the build does."""


def mounts(work: Path, suite: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """`-v` options for buildah: pip.conf, the CA file, find-links folders and apt's sources.

    pip's files and PIP_* variables become one pip.conf in `work`, so that no build argument carries
    them: build arguments are written into an image's history.
    """
    options = []
    ca = ca_file(environment)
    if ca:
        options += ["-v", f"{ca}:{CA_INSIDE}:ro"]
    given = work / "given"
    given.mkdir()
    options += ["-v", f"{given}:{INSIDE}:ro"]
    config = pip_config(environment, has_ca=ca is not None)
    for number, folder in enumerate(sorted(find_links(config), reverse=True)):  # a subfolder before its parent
        (given / f"wheels-{number}").mkdir()
        options += ["-v", f"{folder}:{INSIDE}/wheels-{number}:ro"]
        config = config.replace(str(folder), f"{INSIDE}/wheels-{number}")
    (given / "pip.conf").write_text(config)
    return [*options, *_sources(work, suite)]


def apt_options(work: Path, suite: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Options of `buildah run` for apt alone: an upgrade replaces the CA file, so nothing is mounted over it."""
    given = work / "given-apt"
    given.mkdir()
    (given / "apt.conf").touch()
    if ca := ca_file(environment):
        shutil.copyfile(ca, given / "ca.crt")
        (given / "apt.conf").write_text(f'Acquire::https::CAInfo "{INSIDE}/ca.crt";\n')
    variables = [f"--env=APT_CONFIG={INSIDE}/apt.conf", "--env=DEBIAN_FRONTEND=noninteractive"]
    return ["-v", f"{given}:{INSIDE}:ro", *_sources(work, suite), *variables]


def _sources(work: Path, suite: str) -> list[str]:
    (work / "sources.list").write_text(sources(suite, *debian_mirrors()))
    return ["-v", f"{work}/sources.list:{SOURCES_INSIDE}:ro"]


def ca_file(environment: Mapping[str, str]) -> Path | None:
    """The certificates that this machine trusts, when a variable names them or Debian's file exists."""
    named = [Path(environment[name]) for name in CA_VARIABLES if environment.get(name)]
    return next((file for file in [*named, Path(CA_INSIDE)] if file.is_file()), None)


def pip_config(environment: Mapping[str, str], *, has_ca: bool) -> str:
    """One pip.conf of pip's own files (later ones win) and the PIP_* variables (which win over files)."""
    merged = configparser.RawConfigParser()
    merged.read(pip_files(environment))
    if not merged.has_section("global"):
        merged.add_section("global")
    for name, value in sorted(environment.items()):
        if name.startswith("PIP_") and name not in NOT_SETTINGS and value:
            merged.set("global", name.removeprefix("PIP_").lower().replace("_", "-"), value)
    for section in merged.sections():
        merged.remove_option(section, "cert")
    if has_ca:
        merged.set("global", "cert", CA_INSIDE)
    return "".join(_lines(merged))


def _lines(config: configparser.RawConfigParser) -> Iterator[str]:
    for section in config.sections():
        yield f"[{section}]\n"
        for name, value in config.items(section):
            yield f"{name} = {value.replace(chr(10), chr(10) + '    ')}\n"


def pip_files(environment: Mapping[str, str]) -> list[Path]:
    """Where pip reads its configuration, in its order: site, user (old and new place), the named file."""
    home = Path(environment.get("HOME") or Path.home())
    user = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    named = environment.get("PIP_CONFIG_FILE")
    return [
        Path("/etc/pip.conf"), home / ".pip/pip.conf", user / "pip/pip.conf", *([Path(named)] if named else []),
    ]  # fmt: skip


def find_links(config: str) -> list[Path]:
    """The local folders of wheels that a pip.conf names."""
    parsed = configparser.RawConfigParser()
    parsed.read_string(config)
    words = [word for section in parsed.sections() for word in parsed.get(section, "find-links", fallback="").split()]
    folders = [Path(word.removeprefix("file://")) for word in dict.fromkeys(words) if word.startswith(("/", "file://"))]
    return [folder for folder in folders if folder.is_dir()]


def sources(suite: str, mirror: str, security: str) -> str:
    """Apt's sources of a suite with its updates and security updates.

    Without a mirror Debian's own, which has the security updates beside it; a mirror of this machine's without
    security updates has none to give.
    """
    if not mirror:
        mirror = default_mirror(suite)
        security = f"{mirror.rstrip('/')}-security"
    lines = [f"deb {mirror} {suite} main", f"deb {mirror} {suite}-updates main"]
    return "\n".join([*lines, *([f"deb {security} {suite}-security main"] if security else []), ""])


def debian_mirrors() -> tuple[str, str]:
    """What this machine's apt uses for Debian and its security updates; empty on another distribution."""
    if not shutil.which("apt-get") or not Path("/etc/debian_version").exists():
        return "", ""
    form = "$(ORIGIN) $(SITE) $(RELEASE)"
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", form], text=True, capture_output=True, check=False, timeout=60
    )
    found = [line.split() for line in done.stdout.splitlines() if line.startswith("Debian ")]
    security = [words[1] for words in found if words[2].endswith("security")]
    plain = [words[1] for words in found if words[1] not in security]
    return next(iter(plain), ""), next(iter(security), "")


def default_mirror(suite: str) -> str:
    """What debootstrap itself would take for the suite."""
    script = Path("/usr/share/debootstrap/scripts") / suite
    for line in script.read_text().splitlines() if script.exists() else []:
        if line.strip().startswith("default_mirror "):
            return line.split()[1]
    return ""
