"""What can be done with clients, and by whom. Each change of what one may do is felt by its tokens at once.

Nobody hands on more than they have: who registers, changes or enables a client, or gets its secret, must hold all of
the scopes that it may ask for, save those that are about the person who signs in. Anybody may take away.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from services.auth.audit.events import Event
from services.auth.audit.record import OPERATOR, Origin, record
from services.auth.clients.exceptions import ClientExistsError, NoSecretError, NotPublicError, ScopeNotHeldError
from services.auth.clients.models import Client
from services.auth.clients.repository import ClientRepository
from services.auth.clients.rules import check, usual_grant_types
from services.auth.clients.schemas import ClientPatch, ClientRead, ClientWithSecret, ClientWrite
from services.auth.revocations.record import revoke
from services.auth.scopes import OPENID_SCOPES, SCOPES

SECRET_BYTES = 32
RIGHTS = ("scopes", "grant_types")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does it: a user or a client by their token, through which client, with which scopes."""

    name: str
    scopes: frozenset[str]
    client_id: str | None = None


# whoever has the command line has the database
AN_OPERATOR = Actor(OPERATOR, frozenset(SCOPES))


class ClientService:
    """Clients in one session. `revoked` is called after the commit when tokens are to be refused from now on."""

    def __init__(self, clients: ClientRepository, actor: Actor, origin: Origin, *, revoked: Callable[[], Any]) -> None:
        """Take what it needs."""
        self._clients = clients
        self._actor = actor
        self._origin = origin
        self._revoked = revoked

    async def create(self, body: ClientWrite) -> ClientWithSecret:
        """Register a client; its secret is in the answer and nowhere else.

        Raises ImpossibleClientError, ScopeNotHeldError, ClientExistsError.
        """
        secret = None if body.authentication_method == "none" else new_secret()
        values = body.model_dump()
        values["id"] = body.id or f"client-{secrets.token_hex(8)}"
        if body.grant_types is None:
            values["grant_types"] = usual_grant_types(body.redirect_uris, body.scopes)
        client = Client(**values, secret_hash=_hash(secret))
        check(client)
        self._require_held(client.scopes)
        client = await self._clients.add(client)
        stated = body.model_dump(exclude={"id", "name", "grant_types"})
        self._record(Event.CLIENT_CREATED, client, **stated, grant_types=client.grant_types)
        await self._clients.commit()
        return _shown(client, secret)

    async def ensure(self, body: ClientWrite) -> ClientRead:
        """Have a public client be there as it is said; one that is as said already stays untouched, disabled or not.

        Raises ValueError without an id or with a secret, NotPublicError, and what `create` and `change` raise.
        """
        if body.id is None or body.authentication_method != "none":
            raise ValueError("only a public client with an id can be had again and again")
        try:
            return await self.create(body)
        except ClientExistsError:
            known = await self._clients.get(body.id)
        if known.secret_hash is not None:
            raise NotPublicError(body.id)
        stated: Any = {
            "name": body.name,
            "redirect_uris": body.redirect_uris,
            "post_logout_redirect_uris": body.post_logout_redirect_uris,
            "grant_types": body.grant_types or usual_grant_types(body.redirect_uris, body.scopes),
            "scopes": body.scopes,
            "first_party": body.first_party,
        }
        return await self.change(body.id, stated)

    async def get(self, client_id: str) -> ClientRead:
        """Read one; raises ClientNotFoundError."""
        return ClientRead.model_validate(await self._clients.get(client_id))

    async def list(self, after: str | None, limit: int) -> tuple[Sequence[ClientRead], bool]:
        """One page of clients by their ids, and whether there are more."""
        rows = await self._clients.page(after, limit + 1)
        return [ClientRead.model_validate(row) for row in rows[:limit]], len(rows) > limit

    async def change(self, client_id: str, patch: ClientPatch) -> ClientRead:
        """Change some members; tokens are refused where a right was taken away, not where one was added.

        Raises ClientNotFoundError, ImpossibleClientError, ScopeNotHeldError, NoSecretError.
        """
        client = await self._clients.lock(client_id)
        if "authentication_method" in patch and client.secret_hash is None:
            raise NoSecretError
        before = {name: getattr(client, name) for name, value in patch.items() if value != getattr(client, name)}
        if not before:
            return ClientRead.model_validate(client)
        after = {name: value for name, value in patch.items() if name in before}
        for name, value in after.items():
            setattr(client, name, value)
        check(client)
        self._require_held(client.scopes)
        await self._clients.save(client)
        less = any({*before.get(right, ())} - {*getattr(client, right)} for right in RIGHTS)
        await self._done(Event.CLIENT_CHANGED, client, refuse_tokens=less, before=before, after=after)
        return ClientRead.model_validate(client)

    async def rotate_secret(self, client_id: str) -> ClientWithSecret:
        """Give it another secret; the one before is worth nothing from now on, nor are the tokens it fetched.

        Raises ClientNotFoundError, NoSecretError, ScopeNotHeldError.
        """
        client = await self._clients.lock(client_id)
        if client.secret_hash is None:
            raise NoSecretError
        self._require_held(client.scopes)
        secret = new_secret()
        client.secret_hash = _hash(secret)
        await self._clients.save(client)
        await self._done(Event.CLIENT_SECRET_CHANGED, client)
        return _shown(client, secret)

    async def disable(self, client_id: str) -> ClientRead:
        """Switch it off: its tokens are refused, and it gets none. Raises ClientNotFoundError."""
        client = await self._clients.lock(client_id)
        if client.disabled_at is None:
            client.disabled_at = await self._clients.now()
            await self._clients.save(client)
            await self._done(Event.CLIENT_DISABLED, client)
        return ClientRead.model_validate(client)

    async def enable(self, client_id: str) -> ClientRead:
        """Switch it on again: what people granted it goes on, the tokens of before stay refused.

        Raises ClientNotFoundError, ScopeNotHeldError.
        """
        client = await self._clients.lock(client_id)
        self._require_held(client.scopes)
        if client.disabled_at is not None:
            client.disabled_at = None
            await self._clients.save(client)
            await self._done(Event.CLIENT_ENABLED, client, refuse_tokens=False)
        return ClientRead.model_validate(client)

    async def delete(self, client_id: str) -> None:
        """Remove it with all that was granted to it, and refuse its tokens. Raises ClientNotFoundError."""
        client = await self._clients.lock(client_id)
        await self._clients.delete(client)
        await self._done(Event.CLIENT_DELETED, client)

    async def _done(self, event: Event, client: Client, *, refuse_tokens: bool = True, **details: Any) -> None:
        """Write down, commit, and have it told. The row has been locked: no token is made in between."""
        if refuse_tokens:
            revoke(self._clients.session, "client", client.id)
        self._record(event, client, **details)
        await self._clients.commit()
        if refuse_tokens:
            self._revoked()

    def _require_held(self, scopes: Sequence[str]) -> None:
        if lacking := {*scopes} - self._actor.scopes - OPENID_SCOPES:
            raise ScopeNotHeldError(lacking)

    def _record(self, event: Event, client: Client, **details: Any) -> None:
        record(
            self._clients.session,
            event,
            self._origin,
            actor=self._actor.name,
            subject=client.id,
            client_id=self._actor.client_id,
            name=client.name,
            **details,
        )


def new_secret() -> str:
    """256 random bits in base64url: 43 characters."""
    return secrets.token_urlsafe(SECRET_BYTES)


def _hash(secret: str | None) -> bytes | None:
    return None if secret is None else hashlib.sha256(secret.encode()).digest()


def _shown(client: Client, secret: str | None) -> ClientWithSecret:
    return ClientWithSecret(**ClientRead.model_validate(client).model_dump(), secret=secret)
