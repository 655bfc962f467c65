"""What happens to signing keys: published → signing → retiring → removed, one step after the other."""

from datetime import datetime, timedelta
from typing import Any

from joserfc.jwk import RSAKey
from starlette.concurrency import run_in_threadpool

from services.auth.audit.events import Event
from services.auth.audit.record import OPERATOR, Origin, record
from services.auth.keys.exceptions import UnknownKeyError
from services.auth.keys.models import SigningKey
from services.auth.keys.repository import KeyRepository
from services.auth.sealing import Sealer
from services.auth.settings import KeySettings
from services.common.tokens import LEEWAY_SECONDS

BITS = 2048
COMMAND = Origin()  # the command line has no address
BATCH = 200
# a process that has not heard of a change signs with the old key for so long at most (see KeyRing.sign)
LATE_SECONDS = 60


class KeyService:
    """Signing keys in one session. Each method takes the lock, so that two at once come one after the other."""

    def __init__(self, keys: KeyRepository, sealer: Sealer, settings: KeySettings) -> None:
        self._keys = keys
        self._sealer = sealer
        self._settings = settings

    async def all(self) -> list[SigningKey]:
        """All keys, the oldest first."""
        return await self._keys.all()

    async def ensure(self) -> bool:
        """Make the first key when there is none that signs; whether it did. Of two processes at once one does."""
        now = await self._keys.lock()
        keys = await self._keys.all()
        missing = _signing(keys) is None
        if missing:
            await self._promote(_published(keys) or await self._next(now), now)
        await self._keys.commit()
        return missing

    async def rotate(self, *, publish_now: bool = False) -> list[str]:
        """Do what is due, and say it: remove what has retired long enough, promote what was published long enough,
        publish the next in time. With `publish_now` the next is published whatever the time.
        """  # noqa: D205 - one sentence
        now = await self._keys.lock()
        done = [await self._remove(key) for key in await self._keys.all() if self._is_over(key, now)]
        keys = await self._keys.all()
        signing, published = _signing(keys), _published(keys)
        if signing is None:
            done += await self._promote(published or await self._next(now), now)
        elif published is not None and self.signs_at(published) <= now:
            done += await self._promote(published, now, signing)
        elif published is None and (publish_now or self.next_at(signing) <= now):
            done.append(f"published {(await self._next(now)).kid}")
        await self._keys.commit()
        return done

    async def revoke(self, kid: str) -> list[str]:
        """Take a key out at once, as after its theft: nothing that it signed is believed any more, another signs."""
        now = await self._keys.lock()
        keys = await self._keys.all()
        revoked = next((key for key in keys if key.kid == kid), None)
        if revoked is None:
            raise UnknownKeyError(kid)
        done = [await self._remove(revoked, why="revoked")]
        if revoked.state == "signing":
            done += await self._promote(_published(keys) or await self._next(now), now)
        await self._keys.commit()
        return done

    async def rewrap(self) -> dict[str, int]:
        """Seal everything anew with the current key-encryption key; how many of each. Safe to do again at any time."""
        await self._keys.lock()
        done = {"signing_keys": await self._rewrap_keys(), "authenticators": 0}
        await self._rewrapped("signing_keys", done["signing_keys"])
        while count := await self._rewrap_authenticators():
            done["authenticators"] += count
            await self._rewrapped("authenticators", count)
        return done

    async def _rewrap_keys(self) -> int:
        stale = [key for key in await self._keys.all() if key.sealed_with != self._sealer.current]
        for key in stale:
            key.private_sealed = self._again(key.private_sealed, f"signing key {key.kid}", key.sealed_with)
            key.sealed_with = self._sealer.current
            await self._keys.save(key)
        return len(stale)

    async def _rewrap_authenticators(self) -> int:
        """One batch: people who sign in meanwhile wait for no more than that."""
        factors = await self._keys.factors_not_sealed_with(self._sealer.current, BATCH)
        for user_id, sealed, name in factors:
            again = self._again(sealed, f"totp {user_id}", name)
            await self._keys.save_factor(user_id, again, self._sealer.current)
        return len(factors)

    async def _rewrapped(self, what: str, count: int) -> None:
        if count:
            self._record(Event.KEYS_REWRAPPED, None, **{what: count}, sealed_with=self._sealer.current)
        await self._keys.commit()

    def signs_at(self, published: SigningKey) -> datetime:
        """From when a published key may sign: by then everybody has seen it."""
        return published.published_at + timedelta(seconds=self._settings.key_publish_seconds)

    def next_at(self, signing: SigningKey) -> datetime:
        """When the successor of the signing key is due to be published."""
        lead = self._settings.key_signing_seconds - self._settings.key_publish_seconds
        return (signing.signing_at or signing.published_at) + timedelta(seconds=max(0, lead))

    def expires_at(self, key: SigningKey) -> datetime:
        """When its state is due to end: a published key begins to sign, one that signs retires, that one goes."""
        if key.state == "published":
            return self.signs_at(key)
        if key.state == "retiring":
            longest = max(self._settings.access_token_seconds, self._settings.id_token_seconds)
            return (key.retiring_at or key.published_at) + timedelta(seconds=longest + LEEWAY_SECONDS + LATE_SECONDS)
        return (key.signing_at or key.published_at) + timedelta(seconds=self._settings.key_signing_seconds)

    def _is_over(self, key: SigningKey, now: datetime) -> bool:
        """Whether nothing that this key signed can still be good."""
        return key.state == "retiring" and self.expires_at(key) <= now

    async def _next(self, now: datetime) -> SigningKey:
        private = await run_in_threadpool(new_key)
        kid = private.thumbprint()
        key = SigningKey(
            kid=kid,
            state="published",
            public_jwk=public_jwk(private),
            private_sealed=self._sealer.seal(private.as_der(private=True), f"signing key {kid}"),
            sealed_with=self._sealer.current,
            published_at=now,
        )
        await self._keys.add(key)
        self._record(Event.KEY_PUBLISHED, kid)
        return key

    async def _promote(self, key: SigningKey, now: datetime, before: SigningKey | None = None) -> list[str]:
        if before is not None:
            before.state, before.retiring_at = "retiring", now
            await self._keys.save(before)
            self._record(Event.KEY_RETIRED, before.kid)
        key.state, key.signing_at = "signing", now
        await self._keys.save(key)
        self._record(Event.KEY_SIGNING, key.kid)
        return [f"{key.kid} signs", *([f"{before.kid} retires"] if before else [])]

    async def _remove(self, key: SigningKey, why: str = "removed") -> str:
        await self._keys.remove(key)
        self._record(Event.KEY_REMOVED, key.kid, why=why)
        return f"{why} {key.kid}"

    def _again(self, sealed: bytes, context: str, name: str) -> bytes:
        return self._sealer.seal(self._sealer.open(sealed, context, name), context)

    def _record(self, event: Event, kid: str | None, **details: Any) -> None:
        record(self._keys.session, event, COMMAND, actor=OPERATOR, subject=kid, **details)


def new_key() -> RSAKey:
    """An RSA key of 2048 bits; a quarter of a second's work."""
    return RSAKey.generate_key(BITS)


def public_jwk(key: RSAKey) -> dict[str, str]:
    """Its public half as published (RFC 7517 4): these members and no other, whatever the library knows."""
    whole = key.as_dict(private=False)
    known = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.thumbprint()}
    return known | {name: str(whole[name]) for name in ("n", "e")}


def _signing(keys: list[SigningKey]) -> SigningKey | None:
    return next((key for key in keys if key.state == "signing"), None)


def _published(keys: list[SigningKey]) -> SigningKey | None:
    return next((key for key in keys if key.state == "published"), None)
