"""The signing keys in one process's memory: opened once, followed every few seconds, kept while Postgres is away."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from joserfc import jwt
from joserfc.jwk import RSAKey
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.auth.keys.models import SigningKey
from services.auth.keys.repository import KeyRepository
from services.auth.keys.service import LATE_SECONDS, KeyService, public_jwk
from services.auth.sealing import SealedWithAnotherKeyError, Sealer
from services.auth.settings import KeySettings
from services.common.exceptions import UnavailableError
from services.common.jwks import KeysAwayError
from services.common.postgres import SessionMaker, open_session
from services.common.tasks import every, running

REFRESH_SECONDS = 3.0  # with the time that a refresh may take, every process knows a change within 5 s
STATES = ("published", "signing", "retiring")
ALGORITHM = "RS256"

log = structlog.get_logger()


@dataclass(frozen=True)
class Copy:
    """What the database said at one moment."""

    keys: Mapping[str, RSAKey] = field(default_factory=dict)
    signing: RSAKey | None = None
    states: Mapping[str, int] = field(default_factory=dict)
    expiries: Mapping[str, float] = field(default_factory=dict)  # by state, of its first to end; Unix time
    signing_since: float = 0.0  # both by this process's clock
    rotation_at: float = 0.0
    read_at: float = float("-inf")


class KeyRing(Collector):
    """Signs with the key whose turn it is, knows the public half of each; asks the database in `refresh` alone."""

    def __init__(
        self,
        settings: KeySettings,
        session_maker: SessionMaker,
        registry: CollectorRegistry | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take where the keys are stored and what opens them."""
        self._settings = settings
        self._sealer = Sealer(settings)
        self._session_maker = session_maker
        self._clock = clock
        self._copy = Copy()
        self._opened: dict[str, RSAKey] = {}
        self._reason = "not read yet"
        if registry:
            registry.register(self)

    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        """The claims as a compact JWS. Raises UnavailableError without a key, or when it may have been retired since.

        The bound is what lets a retired key be removed: nothing signed with it comes later.
        """
        copy = self._copy
        if copy.signing is None or self._clock() - copy.read_at > LATE_SECONDS:
            raise UnavailableError("Nothing can be signed now")
        header = {"alg": ALGORITHM, "typ": typ, "kid": copy.signing.kid}
        return jwt.encode(header, dict(claims), copy.signing, algorithms=[ALGORITHM])

    def jwks(self) -> dict[str, Any]:
        """The key set (RFC 7517 5): whatever signs, will sign, or signed what may still be good."""
        if not self._copy.keys:
            raise UnavailableError("The keys are not read yet")
        return {"keys": [public_jwk(key) for key in self._copy.keys.values()]}

    def key(self, kid: str) -> RSAKey | None:
        """The published key with this id, or None. Raises UnavailableError before the first were read."""
        if not self._copy.keys:
            raise UnavailableError("The keys are not read yet")
        return self._copy.keys.get(kid)

    async def get(self, kid: str) -> RSAKey | None:
        """Likewise, for a verifier of tokens. Raises KeysAwayError before the first were read."""
        if not self._copy.keys:
            raise KeysAwayError
        return self._copy.keys.get(kid)

    async def ready(self) -> None:
        """Raise unless there is a key to sign with; a readiness check."""
        if self._copy.signing is None:
            raise KeysAwayError(self._reason)

    async def refresh(self) -> None:
        """Read again. Raises UnavailableError, SealedWithAnotherKeyError; the copy before then stays."""
        read_at = self._clock()  # before it asks: a stall must not make the copy look younger than it is
        try:
            async with open_session(self._session_maker) as session:
                repository = KeyRepository(session)
                service = KeyService(repository, self._sealer, self._settings)
                rows = await service.all()
                if not any(row.state == "signing" for row in rows):
                    await service.ensure()
                    rows = await service.all()
                now = await repository.now()
        except UnavailableError as error:
            self._reason = str(error)
            raise
        keys = {row.kid: self._open(row) for row in rows}
        self._opened = keys
        signing = next((row for row in rows if row.state == "signing"), None)
        if signing is None:  # revoked in this very moment; the next round sees the one after it
            return
        since = (now - (signing.signing_at or now)).total_seconds()
        due = (service.next_at(signing) + timedelta(seconds=self._settings.key_publish_seconds) - now).total_seconds()
        self._copy = Copy(
            keys=keys,
            signing=keys[signing.kid],
            states={state: sum(row.state == state for row in rows) for state in STATES},
            expiries={
                row.state: service.expires_at(row).timestamp()
                for row in sorted(rows, key=service.expires_at, reverse=True)
            },
            signing_since=read_at - since,
            rotation_at=read_at + due,
            read_at=read_at,
        )

    def _open(self, row: SigningKey) -> RSAKey:
        """The private key, and never what the row calls its public half.

        Who may write to the database but lacks the key-encryption key can so have no key of theirs published.
        """
        if row.kid in self._opened:
            return self._opened[row.kid]
        der = self._sealer.open(row.private_sealed, f"signing key {row.kid}", row.sealed_with)
        key = RSAKey.import_key(der, {"kid": row.kid, "use": "sig", "alg": ALGORITHM})
        if key.thumbprint() != row.kid:
            raise SealedWithAnotherKeyError(f"signing key {row.kid} is another key: the row was changed.")
        return key

    async def keep_fresh(self) -> None:
        """Refresh for ever, whatever goes wrong; run as a task."""
        await asyncio.sleep(REFRESH_SECONDS)
        await every(REFRESH_SECONDS, self._refresh_or_tell, failed="signing_keys_not_read")

    async def _refresh_or_tell(self) -> None:
        try:
            await self.refresh()
        except SealedWithAnotherKeyError as error:
            self._reason = str(error)
            log.error("signing_keys_not_opened", reason=str(error))  # noqa: TRY400 - the sentence says it all

    def collect(self) -> Iterator[Metric]:
        """Age, number by state, time to the next rotation; nothing before the keys were read."""
        copy, now = self._copy, self._clock()
        if copy.signing is None:
            return
        yield GaugeMetricFamily(
            "auth_signing_key_age_seconds", "Since when the key signs", value=now - copy.signing_since
        )
        yield GaugeMetricFamily(
            "auth_signing_key_rotation_seconds",
            "Until the next key is due to sign; below zero it is late",
            value=copy.rotation_at - now,
        )
        family = GaugeMetricFamily("auth_signing_keys", "Keys by state", labels=["state"])
        for state, count in copy.states.items():
            family.add_metric([state], count)
        yield family
        family = GaugeMetricFamily(
            "auth_signing_key_expiry_timestamp_seconds",
            "When the state of a key is due to end: published: it signs, signing: it retires, retiring: it goes",
            labels=["state"],
        )
        for state, moment in copy.expiries.items():
            family.add_metric([state], moment)
        yield family


@asynccontextmanager
async def open_key_ring(
    settings: KeySettings, session_maker: SessionMaker, registry: CollectorRegistry | None = None
) -> AsyncGenerator[KeyRing]:
    """A ring that follows the database for as long as the block lasts; the first key is made when there is none.

    Raises SealedWithAnotherKeyError: without the right key-encryption key there is no use in starting. A database that
    is away, or not migrated yet, is waited for in the background.
    """
    ring = KeyRing(settings, session_maker, registry)
    try:
        await ring.refresh()
    except UnavailableError as error:
        log.warning("signing_keys_not_read", reason=str(error))
    async with running(ring.keep_fresh, "signing keys"):
        yield ring
