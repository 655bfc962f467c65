"""Revoking, in the transaction of its cause. `Publisher` tells `state` once that is committed."""

from services.auth.audit.record import Adding
from services.auth.revocations.models import Revocation
from services.common.revocations import Kind


def revoke(session: Adding, kind: Kind, target: object) -> None:
    """Write down that tokens of this target are to be refused.

    `user`, `client`: those issued until now. `session`, `grant`, `token`: all. First lock the row of the user or client
    (an UPDATE of it, flushed, does): a token is issued under a shared lock of it, so none is issued in between.
    """
    session.add(Revocation(kind=kind, target=str(target)))
