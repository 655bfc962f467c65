"""Names, addresses, ports and folders of the local installation, each once."""

import os
from pathlib import Path

from k8s.node.paths import home

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "slipway"
VALUES = ROOT / "k8s" / "environments" / "dev.yaml"
DOCKERFILE = ROOT / "services" / "Dockerfile"

RELEASE = "slipway"
NAMESPACE = "slipway"
TLS_SECRET = "slipway-tls"  # noqa: S105 - the name of a Secret
HOST = "slipway.localhost"
HTTPS_PORT, HTTP_PORT = 8443, 8080
STATE_VARIABLE = "SLIPWAY_STATE"
ORIGIN = f"https://{HOST}:{HTTPS_PORT}"


def state() -> Path:
    """What one installation is: its CA, its cluster, pid files. `SLIPWAY_STATE` names another folder."""
    given = os.environ.get(STATE_VARIABLE)
    return Path(given).resolve() if given else home("XDG_STATE_HOME", ".local/state") / "slipway" / "local"


def cache() -> Path:
    """What can be made again: how long steps took, logs of builds. `down` leaves it."""
    return home("XDG_CACHE_HOME", ".cache") / "slipway" / "local"


def logs() -> Path:
    """Logs of builds, of helm and of the forwarder; they outlive `down`, so that a failure can be read."""
    return cache() / "log"


def ca_certificate() -> Path:
    """The certificate that clients of the local origin trust."""
    return state() / "ca.crt"


def client() -> Path:
    """Id and secret of the client that `up` made, as a file for `curl -K`; readable by its owner alone."""
    return state() / "client.curl"


def administrator() -> Path:
    """E-mail and one-time password of the first administrator until they sign in; readable by its owner alone."""
    return state() / "administrator"


def kind_kubeconfig() -> Path:
    """Kind's own kubeconfig: the user's file is never written."""
    return state() / "kind.conf"
