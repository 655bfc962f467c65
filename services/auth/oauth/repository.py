"""Every SQL statement about codes, grants, refresh tokens and consents, for Authlib's synchronous code.

Locks are taken in one order everywhere: client, user, session, then code or grant. Whoever disables or revokes locks in
the same order, so that nobody waits in a circle.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import DateTime, Text, Uuid, bindparam, cast, exists, func, literal
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, delete, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from services.auth.clients.models import ID_MAX, Client
from services.auth.oauth.models import AuthorizationCode, Consent, Grant, RefreshToken
from services.auth.oauth.tokens import TokenFacts
from services.auth.revocations.models import Revocation
from services.auth.revocations.record import revoke
from services.auth.sessions.models import UserSession
from services.auth.users.models import Role, User, UserRole
from services.common.revocations import Kind

Result = TypeVar("Result")
Row = TypeVar("Row")


async def run(session: AsyncSession, work: Callable[["OAuthRepository"], Result]) -> Result:
    """Run synchronous code over the session's own connection, within its transaction."""
    return await session.run_sync(lambda sync: work(OAuthRepository(sync)))  # type: ignore[arg-type]


async def in_transaction(session: AsyncSession, work: Callable[["OAuthRepository"], Result]) -> Result:
    """Likewise, and commit; when it raises, nothing has happened."""
    result = await run(session, work)
    await session.commit()
    return result


# made once: to build a statement costs as much as to run it
_ACTIVE = select(Client).where(Client.id == bindparam("client_id"), col(Client.disabled_at).is_(None))
_LOCKED = _ACTIVE.with_for_update(read=True)
# the time is that after the lock: the rows of a WITH that locks are there before the outer SELECT computes anything
_LOCKED_CLIENT = aliased(Client, _LOCKED.cte("locked"))
_LOCKED_NOW = select(_LOCKED_CLIENT, func.clock_timestamp())
_NOW = select(func.clock_timestamp())


class OAuthRepository:
    """Statements of one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.has_revoked = False

    def revoke(self, kind: Kind, target: object) -> None:
        """Have tokens of this target refused, everywhere; the caller wakes the publisher after the commit."""
        revoke(self.session, kind, target)
        self.has_revoked = True

    def add(self, row: Any) -> None:
        """Insert a row now."""
        self.session.add(row)
        self.session.flush()

    def now(self) -> datetime:
        """The time by Postgres' clock, at this moment: never before that of a revocation already committed."""
        now: datetime = self.session.exec(_NOW).one()
        return now

    # clients and people

    def client(self, client_id: str) -> Client | None:
        """A client that is not disabled."""
        if not _may_be_client(client_id):
            return None
        return self.session.exec(_ACTIVE, params={"client_id": client_id}).first()

    def lock_client(self, client_id: str) -> Client | None:
        """Likewise, and nobody disables it before this transaction ends."""
        return self._fresh(Client, _LOCKED, client_id=client_id)

    def lock_client_now(self, client_id: str) -> tuple[Client, datetime] | None:
        """Likewise, with the time by Postgres' clock once it is locked."""
        if not _may_be_client(client_id):
            return None
        options = {"populate_existing": True}
        row = self.session.execute(_LOCKED_NOW, {"client_id": client_id}, execution_options=options).first()
        return None if row is None else (row[0], row[1])

    def lock_user(self, user_id: UUID) -> User | None:
        """A user who is not disabled, and nobody disables them before this transaction ends."""
        statement = select(User).where(User.id == user_id, col(User.disabled_at).is_(None))
        return self._fresh(User, statement.with_for_update(read=True))

    def lock_session(self, session_id: UUID) -> UserSession | None:
        """A session that has not ended, and nobody ends it before this transaction does."""
        statement = select(UserSession).where(
            UserSession.id == session_id,
            col(UserSession.ended_at).is_(None),
            col(UserSession.expires_at) > func.clock_timestamp(),
        )
        return self._fresh(UserSession, statement.with_for_update(read=True))

    def user(self, user_id: UUID) -> User | None:
        """A user who is not disabled."""
        return self.session.exec(select(User).where(User.id == user_id, col(User.disabled_at).is_(None))).first()

    def roles(self, user_id: UUID) -> list[Role]:
        """A user's roles, by name."""
        statement = select(Role).join(UserRole).where(UserRole.user_id == user_id).order_by(Role.name)
        return list(self.session.exec(statement.execution_options(populate_existing=True)))

    # codes

    def code(self, code_hash: bytes) -> AuthorizationCode | None:
        """A code, redeemed or not."""
        return self.session.get(AuthorizationCode, code_hash)

    def lock_code(self, code_hash: bytes) -> AuthorizationCode | None:
        """Likewise, as it is once everybody else is done with it."""
        statement = select(AuthorizationCode).where(AuthorizationCode.code_hash == code_hash).with_for_update()
        return self._fresh(AuthorizationCode, statement)

    # grants and refresh tokens

    def grant(self, grant_id: UUID) -> Grant | None:
        """A grant, revoked or not."""
        return self.session.get(Grant, grant_id)

    def lock_grant(self, grant_id: UUID) -> Grant | None:
        """A grant, as it is once everybody else is done with it."""
        return self._fresh(Grant, select(Grant).where(Grant.id == grant_id).with_for_update())

    def refresh_token(self, token_hash: bytes) -> RefreshToken | None:
        """A refresh token, used or not, read anew."""
        return self._fresh(RefreshToken, select(RefreshToken).where(RefreshToken.token_hash == token_hash))

    def revoke_grant(self, grant: Grant, why: str, now: datetime) -> bool:
        """End a grant that is locked, with all of its tokens; False when it has ended already."""
        if grant.revoked_at is not None:
            return False
        grant.revoked_at, grant.revoked_why = now, why
        self.session.add(grant)
        self.revoke("grant", grant.id)
        self.session.flush()
        return True

    # consents

    def lock_consent(self, user_id: UUID, client_id: str) -> Consent | None:
        """What the person has allowed the client so far, and does not take back before this transaction ends."""
        statement = select(Consent).where(Consent.user_id == user_id, Consent.client_id == client_id)
        return self._fresh(Consent, statement.with_for_update(read=True))

    def add_consent(self, user_id: UUID, client_id: str, scopes: Sequence[str]) -> None:
        """Allow these too, whatever else is allowed at the same moment."""
        statement = insert(Consent).values(user_id=user_id, client_id=client_id, scopes=list(scopes))
        # whoever comes second waits here for the first, and finds what that one has added
        statement = statement.on_conflict_do_update(
            index_elements=["user_id", "client_id"], set_={"granted_at": func.now()}
        )
        options = {"populate_existing": True}
        consent = self.session.scalars(statement.returning(Consent), execution_options=options).one()
        consent.scopes = sorted({*consent.scopes, *scopes})
        self.add(consent)

    def consents(self, user_id: UUID) -> list[tuple[Consent, Client]]:
        """All that a person has allowed, by the clients' names."""
        statement = select(Consent, Client).join(Client).where(Consent.user_id == user_id).order_by(Client.name)
        return [(consent, client) for consent, client in self.session.exec(statement)]

    def withdraw(self, user_id: UUID, client_id: str) -> bool:
        """Forget a consent, and end what came of it; False when there was none.

        Codes before grants: one that is just being redeemed is waited for, and its grant is then among those that end.
        """
        consent = delete(Consent).where(col(Consent.user_id) == user_id, col(Consent.client_id) == client_id)
        if not self.session.exec(consent).rowcount:
            return False
        self.session.exec(
            delete(AuthorizationCode).where(
                col(AuthorizationCode.user_id) == user_id,
                col(AuthorizationCode.client_id) == client_id,
                col(AuthorizationCode.redeemed_at).is_(None),
            )
        )
        ended = self.session.exec(
            update(Grant)
            .where(col(Grant.user_id) == user_id, col(Grant.client_id) == client_id, col(Grant.revoked_at).is_(None))
            .values(revoked_at=func.clock_timestamp(), revoked_why="consent_withdrawn")
            .returning(col(Grant.id))
        ).scalars()
        for grant_id in ended.all():
            self.revoke("grant", grant_id)
        return True

    # the truth about a token

    def lock_token(self, token_id: str) -> None:
        """Be the only one to revoke this access token, which has no row that could be locked."""
        self.session.exec(select(func.pg_advisory_xact_lock(func.hashtextextended(token_id, 0))))

    def is_live(self, token: TokenFacts) -> bool:
        """Whether a token's time is not over, and nothing that it stands on was revoked or disabled."""
        stands_on = {"user_id": token.user_id, "session_id": token.session_id, "grant_id": token.grant_id}
        known = {name: value for name, value in stands_on.items() if value is not None}
        always = {"client_id": token.client_id, "token_id": token.token_id}
        times = {"issued_at": token.issued_at, "expires_at": token.expires_at}
        return self.session.execute(_live(*known), {**always, **times, **known}).first() is not None

    def _fresh(self, _: type[Row], statement: Any, **values: object) -> Row | None:
        """The one row, read anew whatever the session knows of it: others may have changed it before the lock."""
        options = {"populate_existing": True}
        row: Row | None = self.session.scalars(statement, values, execution_options=options).first()
        return row


def _may_be_client(client_id: str) -> bool:
    return len(client_id) <= ID_MAX and client_id.isprintable()


@cache
def _live(*stands_on: str) -> Any:
    """A row when a token is live, for tokens that stand on these; parameters are named as the fields of TokenFacts."""
    client: Any = bindparam("client_id")
    expires_at = bindparam("expires_at", type_=DateTime(timezone=True))
    after = col(Revocation.at) >= bindparam("issued_at")
    revoked = [_revoked("client", client) & after, _revoked("token", bindparam("token_id"))]
    facts = [
        expires_at > func.clock_timestamp(),
        exists().where(col(Client.id) == client, col(Client.disabled_at).is_(None)),
    ]
    if "user_id" in stands_on:
        user = bindparam("user_id", type_=Uuid())
        revoked.append(_revoked("user", cast(user, Text)) & after)
        facts.append(exists().where(col(User.id) == user, col(User.disabled_at).is_(None)))
    if "session_id" in stands_on:
        session = bindparam("session_id", type_=Uuid())
        revoked.append(_revoked("session", cast(session, Text)))
        facts.append(exists().where(col(UserSession.id) == session, col(UserSession.ended_at).is_(None)))
    if "grant_id" in stands_on:
        grant = bindparam("grant_id", type_=Uuid())
        revoked.append(_revoked("grant", cast(grant, Text)))
        facts.append(exists().where(col(Grant.id) == grant, col(Grant.revoked_at).is_(None)))
    return select(literal(1)).where(*facts, ~exists().where(or_(*revoked)))


def _revoked(kind: Kind, target: Any) -> Any:
    return (col(Revocation.kind) == kind) & (col(Revocation.target) == target)
