"""What the printed lines come in with: clients and the first administrator, made once in the release's own auth."""

import base64
import json
import re
from datetime import UTC, datetime

from k8s.local import commands, edge, paths, sign_in
from k8s.local.cluster import Cluster
from k8s.local.errors import LocalError
from k8s.node import files

CLIENT, SCOPES = "make up", "items:read items:write"
ADMINISTRATOR, ROLE = "admin@slipway.localhost", "admin"
AUTH = ("python", "-m", "services.auth")
SECRET_MODE = 0o600
OK, UNAUTHORIZED = "200", "401"
_USER = re.compile(r'user = "([^":]+):([^":]+)"')
_UNTIL = re.compile(r"^good until (\S+ \S+Z)", re.MULTILINE)


def ensure(cluster: Cluster) -> None:
    """A client for machines, in a file that curl reads (`curl -K FILE`) and nobody else may, and that of `make token`.

    The file is asked for a token first: one that is of another database, or of a client that somebody ended, is
    written anew. So is the file of an administrator who has not signed in yet. Raises LocalError, NodeError.
    """
    if _good():
        if paths.administrator().exists():
            _ensure_administrator(cluster)
        return
    made = json.loads(as_operator(cluster, "clients", "create", CLIENT, "--scopes", SCOPES, "--json"))
    files.write(paths.client(), f'user = "{made["id"]}:{made["secret"]}"\n', SECRET_MODE)
    if not _good():
        raise LocalError(f"The client in {paths.client()}, which was made just now, gets no token.")
    _ensure_client_of_people(cluster)
    _ensure_administrator(cluster)


def as_operator(cluster: Cluster, *words: str) -> str:
    """What a command of auth prints, run in a pod that serves; NodeError with its last line when it fails."""
    pod = ("-n", paths.NAMESPACE, "exec", f"deploy/{paths.RELEASE}-auth", "-c", "auth", "--")
    return commands.run(*cluster.kubectl(*pod, *AUTH, *words))


def _good() -> bool:
    """Whether the client in the file gets a token."""
    try:
        found = _USER.fullmatch(paths.client().read_text().strip())
    except OSError:
        return False
    if found is None:
        return False
    basic = base64.b64encode(":".join(found.groups()).encode()).decode()
    answer = edge.ask("/oauth2/token", form={"grant_type": "client_credentials", "scope": SCOPES}, basic=basic)
    if answer not in (OK, UNAUTHORIZED):
        raise LocalError(f"{paths.ORIGIN}/oauth2/token answers {answer} to the client in {paths.client()}.")
    return answer == OK


def _ensure_client_of_people(cluster: Cluster) -> None:
    known = [json.loads(line)["id"] for line in as_operator(cluster, "clients", "list", "--json").splitlines()]
    if sign_in.CLIENT not in known:
        rights = ("--public", "--first-party", "--scopes", sign_in.SCOPES)
        back = ("--redirect-uri", f"http://127.0.0.1{sign_in.CALLBACK}")  # whichever the port (RFC 8252 7.3)
        as_operator(cluster, "clients", "create", "make token", "--id", sign_in.CLIENT, *rights, *back)


def _ensure_administrator(cluster: Cluster) -> None:
    """A password for the first sign-in of the first administrator, in a file that is gone once it is of no use."""
    # id, state, e-mail, roles
    people = [line.split() for line in as_operator(cluster, "users", "list").splitlines()]
    ours = next((state for _, state, email, *_ in people if email == ADMINISTRATOR), None)
    if ours == "one-time":
        if _fresh():
            return
        said = as_operator(cluster, "users", "one-time-password", ADMINISTRATOR)
    elif ours is None and not any(ROLE in roles for _, _, _, *roles in people):
        said = as_operator(cluster, "users", "first-administrator", ADMINISTRATOR)
    else:
        paths.administrator().unlink(missing_ok=True)
        return
    files.write(paths.administrator(), f"e-mail: {ADMINISTRATOR}\n{said}", SECRET_MODE)


def _fresh() -> bool:
    """Whether the password in the file is still good, if nobody has used it."""
    try:
        found = _UNTIL.search(paths.administrator().read_text())
    except OSError:
        return False
    return found is not None and datetime.now(UTC) < datetime.fromisoformat(found[1])
