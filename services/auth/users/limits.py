"""How often one may try: to sign in, to type a code, to have a mail sent, to authenticate as a client.

Everything is decided by GCRA in `state` for all replicas together. Per account it is attempts a minute and nothing
else: no account is ever locked, so nobody can lock somebody else out for good. Whoever floods an account takes turns
away from its owner for as long as the flood lasts, and no longer; the limits of the client's address and of all
together slow the flood down. An attempt that one limit refuses spends nothing in the others.

When `state` is away, every replica limits by itself with the same numbers: with N of them at most N times as much gets
through, starting anew. Never everything, never nothing, never a 5xx. That is counted, `limits_decided_total` by local,
and logged at most every ten seconds; one request a second finds out whether `state` is back, the others do not wait.

No e-mail, address or client id stands in a key or in a line of the log: keys hold an HMAC of it.
"""

import hashlib
import hmac
from collections.abc import Sequence
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter
from redis.asyncio import Redis

from services.auth.settings import AuthSettings
from services.auth.users.exceptions import TooManyAttemptsError
from services.common.addresses import home
from services.common.limits import Decision, Limit, LocalLimiter
from services.common.state_limits import StateLimits

MINUTE, HOUR = 60, 3600
KEY_DIGITS = 32
TOLD_OVERALL = 60  # refusals a minute that the audit log hears of


class SignInLimits:
    """Raises TooManyAttemptsError (429, Retry-After) once there was too much of something."""

    def __init__(self, redis: Redis, settings: AuthSettings, registry: CollectorRegistry) -> None:
        self._state = StateLimits(redis, "auth")
        self._settings = settings
        self._local = LocalLimiter(max_entries=10 * settings.sign_in_overall)
        self._key = hashlib.sha256(b"slipway limits" + settings.token_key.get_secret_value().encode()).digest()
        self._decided = Counter(
            "limits_decided_total", "Limits asked, by who decided; local: `state` was away", ["by"], registry=registry
        )
        self._refused = Counter(
            "limits_refused_total", "Attempts refused, by the limit that did", ["limit"], registry=registry
        )
        for by in ("state", "local"):
            self._decided.labels(by)

    async def check(self, email: str, address: str | None) -> None:
        """Before a password is looked at: in one account, from one address, and of everybody."""
        await self._take(
            self._limit("sign-in:account", email.lower(), self._settings.sign_in_per_account),
            self._limit("sign-in:address", home(address), self._settings.sign_in_per_address),
            self._limit("sign-in:overall", "", self._settings.sign_in_overall),
        )

    async def check_second_factor(self, user_id: UUID, address: str | None) -> None:
        """Before a code of an authenticator or a recovery code is looked at."""
        await self._take(
            self._limit("second-factor:account", str(user_id), self._settings.second_factor_per_account),
            self._limit("second-factor:address", home(address), self._settings.sign_in_per_address),
        )

    async def check_code(self, code_id: UUID, address: str | None) -> None:
        """Before a mailed code is looked at."""
        await self._take(
            self._limit("mailed-code:one", str(code_id), self._settings.sign_in_per_account),
            self._limit("mailed-code:address", home(address), self._settings.sign_in_per_address),
        )

    async def check_mail(self, email: str, address: str | None) -> None:
        """Before a mail is sent on somebody's request, whether there is an account or not."""
        await self._take(
            self._limit("mail:recipient", email.lower(), self._settings.mails_per_recipient, HOUR),
            self._limit("mail:address", home(address), self._settings.mails_per_address, HOUR),
            self._limit("sign-in:overall", "", self._settings.sign_in_overall),
        )

    async def is_news(self, account: str, address: str | None) -> bool:
        """Whether a refusal is to be written down: one a minute of an account, from an address, few altogether."""
        decision = await self._decide(
            [
                self._limit("told:account", account, 1),
                self._limit("told:address", home(address), 1),
                self._limit("told:overall", "", TOLD_OVERALL),
            ],
            spend=True,
        )
        return decision.allowed

    async def check_client(self, client_id: str, address: str | None) -> None:
        """Before a client's secret is looked at. Spends nothing: only `client_failed` does.

        Attempts under way at the same moment see the same; against 256 random bits these few more do not matter.
        """
        self._raise(await self._decide(self._client_limits(client_id, address), spend=False))

    async def client_failed(self, client_id: str, address: str | None) -> None:
        """After a client did not prove who it is. Counted by id and address together: others are not locked out."""
        await self._decide(self._client_limits(client_id, address), spend=True)

    def _client_limits(self, client_id: str, address: str | None) -> list[Limit]:
        return [
            self._limit("client:failures", f"{client_id} {home(address)}", self._settings.sign_in_per_account),
            self._limit("client-address:failures", home(address), self._settings.sign_in_per_address),
        ]

    def _limit(self, purpose: str, who: str, count: int, seconds: int = MINUTE) -> Limit:
        digest = hmac.new(self._key, who.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return Limit(f"{purpose}:{digest[:KEY_DIGITS]}" if who else purpose, count, seconds)

    async def _take(self, *limits: Limit) -> None:
        self._raise(await self._decide(limits, spend=True))

    async def _decide(self, limits: Sequence[Limit], *, spend: bool) -> Decision:
        decision = await self._state.decide(limits, spend=spend)
        if decision is not None:
            self._decided.labels("state").inc()
            return decision
        self._decided.labels("local").inc()
        return await (self._local.take(limits) if spend else self._local.look(limits))

    def _raise(self, decision: Decision) -> None:
        for outcome in decision.refused:
            purpose, kind, *_ = outcome.limit.key.split(":")
            self._refused.labels(f"{purpose}:{kind}").inc()
        if not decision.allowed:
            raise TooManyAttemptsError(decision.retry_after)
