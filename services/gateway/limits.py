"""How often one may ask: for each principal, for each client address and of everybody, by route.

All limits of a request are decided at once by GCRA in `state`, on its clock: exact for all gateways together, whatever
their own clocks say, and a request that one limit refuses spends nothing in the others. A `state` that comes back
empty begins anew, which lets through one burst more; with its append-only file it remembers.

While `state` is away the route says what counts: `local`, each gateway by itself an even share of rate and burst;
`open`, everything passes; `closed`, 503. The first two never make a 5xx. Which it was is counted, and logged at most
every ten seconds; one request a second finds out whether `state` is back, the others do not wait.

A refused token counts for address and route, so that trying tokens is limited as well. No subject, client or address
stands in a key: keys hold a keyed hash of it.
"""

import hashlib
from collections.abc import AsyncGenerator, Iterable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import Tracer
from pydantic import SecretStr
from redis.asyncio import Redis

from services.common.addresses import home
from services.common.limits import Decision, Limit, LocalLimiter, Outcome
from services.common.redis import open_redis
from services.common.state_limits import StateLimits
from services.common.tokens import Principal
from services.gateway.exceptions import TooManyRequestsError, UncountedError
from services.gateway.headers import Header
from services.gateway.metrics import GatewayMetrics
from services.gateway.quotas import Quota
from services.gateway.routes import Route

MAX_LOCAL_ENTRIES = 50_000  # of this process' memory: whoever was counted least recently is forgotten first
HASH_BYTES = 16


class RateLimits:
    """Decides for every route, in `state` while that is there."""

    def __init__(
        self, redis: Redis | None, *, secret: str, replicas: int, metrics: GatewayMetrics, tracer: Tracer | None = None
    ) -> None:
        """Take the client (None: always by itself), what keys are hashed with, and among how many it shares.

        Waits are recorded by the tracer, None while traces are off.
        """
        self._state = None if redis is None else StateLimits(redis, "gateway")
        self._local = LocalLimiter(max_entries=MAX_LOCAL_ENTRIES)
        self._replicas = replicas
        self._key = hashlib.sha256(b"slipway gateway limits" + secret.encode()).digest()
        self._metrics = metrics
        self._tracer = tracer

    async def take(
        self, route: Route, method: str, path: str, *, principal: Principal | None, address: str | None
    ) -> list[Header]:
        """Spend one request; returns the headers that tell of it. Raises TooManyRequestsError, UncountedError."""
        who = {"address": home(address)}
        if principal is not None:
            who["principal"] = f"{principal.client_id}\0{principal.subject}"
        keys = {
            self._name(route, quota, who.get(quota.per)): quota
            for quota in route.quotas
            if quota.covers(method, path) and (quota.per != "principal" or principal is not None)
        }
        if not keys:
            return []
        decision = await self._decide(route, keys)
        if decision is None:
            return []
        headers = describe(zip(keys.values(), decision.outcomes, strict=True))
        if not decision.allowed:
            for quota, outcome in zip(keys.values(), decision.outcomes, strict=True):
                if not outcome.allowed:
                    self._metrics.limits_refused.labels(route.path, quota.per).inc()
            raise TooManyRequestsError(decision.retry_after, headers)
        return headers

    def _name(self, route: Route, quota: Quota, who: str | None) -> str:
        digest = hashlib.blake2b((who or "").encode(), key=self._key, digest_size=HASH_BYTES).hexdigest()
        return f"{quota.title}:{route.path}:{digest if who else 'all'}"

    async def _decide(self, route: Route, keys: dict[str, Quota]) -> Decision | None:
        """What the limits say; None when everything passes. Raises UncountedError."""
        if self._state is not None:
            with self._recorded():
                decision = await self._state.decide([quota.limit(key, 1) for key, quota in keys.items()])
            if decision is not None:
                self._metrics.limits_decided.labels("state").inc()
                return decision
        self._metrics.limits_decided.labels(route.without_state).inc()
        if route.without_state == "closed":
            raise UncountedError("This answers only while its requests can be counted")
        if route.without_state == "open":
            return None
        return await self._local.take([quota.limit(key, self._replicas) for key, quota in keys.items()])

    def _recorded(self) -> AbstractContextManager[object]:
        """A span for the wait, where the request is recorded: the command is in one trace of those that wait for it."""
        if self._tracer is None or not trace.get_current_span().is_recording():
            return nullcontext()
        return self._tracer.start_as_current_span("limits")


def describe(decided: Iterable[tuple[Quota, Outcome]]) -> list[Header]:
    """`RateLimit-Policy` with all limits, `RateLimit` with the one that is nearest to its end.

    See draft-ietf-httpapi-ratelimit-headers. A policy says how many fit at once and in which time they all come back,
    so a burst shows as what it is: 100 a second with a burst of 200 is q=200;w=2.
    """
    pairs = list(decided)
    policies = [f'"{quota.title}";q={out.limit.at_once};w={_window(out.limit)}' for quota, out in pairs]
    quota, least = min(pairs, key=lambda pair: (pair[1].allowed, pair[1].remaining / pair[1].limit.at_once))
    return [
        (b"ratelimit-policy", ", ".join(policies).encode()),
        (b"ratelimit", f'"{quota.title}";r={least.remaining};t={least.reset}'.encode()),
    ]


def _window(limit: Limit) -> int:
    """Seconds in which the whole burst comes back, rounded up: less is never promised than there is."""
    return -(-limit.at_once * limit.per_seconds // limit.count)


@asynccontextmanager
async def open_limits(
    url: SecretStr | None, *, replicas: int, metrics: GatewayMetrics, tracer: Tracer | None = None
) -> AsyncGenerator[RateLimits]:
    """Limits for as long as the block lasts. All gateways have the same `state`, and so the same password of it."""
    if url is None:
        yield RateLimits(None, secret="", replicas=replicas, metrics=metrics)
        return
    secret = urlsplit(url.get_secret_value()).password or ""
    async with open_redis(url) as redis:
        yield RateLimits(redis, secret=secret, replicas=replicas, metrics=metrics, tracer=tracer)
