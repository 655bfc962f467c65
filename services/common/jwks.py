"""The key set of auth: fetched, kept, refreshed in time, and fetched again when a new key appears."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

import httpx2
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from prometheus_client import CollectorRegistry, Counter

from services.common.tasks import running

REFRESH_SECONDS = 300.0
RETRY_SECONDS = 5.0  # after a failed refresh
REFETCH_SECONDS = 10.0  # at most one fetch for unknown key ids in this time
REFETCH_FAILED_SECONDS = 1.0  # likewise after one that failed
STALE_SECONDS = 3600.0  # how long keys are believed while auth is away
TIMEOUT_SECONDS = 2.0
MAX_BYTES = 256 * 1024
MIN_KEY_BITS = 2048  # RFC 7518 3.3

log = structlog.get_logger()


class KeysAwayError(Exception):
    """There are no keys to check a signature with."""


class RemoteKeys:
    """RSA keys by key id. Strangers with made-up key ids cannot make it fetch more often than every 10 s.

    Every second while auth does not answer.
    """

    def __init__(
        self,
        url: str,
        *,
        client: httpx2.AsyncClient,
        clock: Callable[[], float] = time.monotonic,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """Take the address of the key set (RFC 7517 5) and where to count its fetches."""
        self.url = url
        self._client = client
        self._clock = clock
        self._keys: Mapping[str, RSAKey] = {}
        self._fetched_at = float("-inf")
        self._asked_at = float("-inf")
        self._failed = False  # the last fetch
        self._lock = asyncio.Lock()
        self._fetches = Counter("token_key_fetches_total", "Fetches of auth's key set", ["result"], registry=registry)

    async def get(self, kid: str) -> RSAKey | None:
        """The key with this id, or None. Raises KeysAwayError when there are no keys that may be believed.

        And when the key is not known while auth does not answer: it may have published it since.
        """
        key = self._usable().get(kid)
        if key is None:
            await self._refetch(kid)
            key = self._usable().get(kid)
        if key is None and (self._failed or not self._usable()):
            raise KeysAwayError
        return key

    async def ready(self) -> None:
        """Raise unless there are keys; a readiness check."""
        if not self._usable():
            raise KeysAwayError(f"no keys from {self.url} yet")

    def _usable(self) -> Mapping[str, RSAKey]:
        return self._keys if self._clock() - self._fetched_at < STALE_SECONDS else {}

    async def _refetch(self, kid: str) -> None:
        """Fetch because of an unknown key id: one at a time, and not again so soon."""
        async with self._lock:
            pause = REFETCH_FAILED_SECONDS if self._failed else REFETCH_SECONDS
            if kid not in self._usable() and self._clock() - self._asked_at >= pause:
                await self._fetch()

    async def _fetch(self) -> bool:
        self._asked_at = self._clock()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                keys = parse_keys(await self._download())
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError, RecursionError) as error:
            log.warning("key_set_not_fetched", url=self.url, reason=f"{type(error).__name__}: {error}")
            self._fetches.labels("failed").inc()
            self._failed = True
            return False
        self._fetches.labels("fetched").inc()
        self._keys, self._fetched_at, self._failed = keys, self._clock(), False
        return True

    async def _download(self) -> object:
        async with self._client.stream("GET", self.url) as response:
            response.raise_for_status()
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ValueError(f"longer than {MAX_BYTES} bytes")
        return httpx2.Response(200, content=body).json()

    async def keep_fresh(self) -> None:
        """Fetch now and then for ever; run as a task."""
        while True:
            async with self._lock:
                fetched = await self._fetch()
            await asyncio.sleep(REFRESH_SECONDS if fetched else RETRY_SECONDS)


def parse_keys(document: object) -> dict[str, RSAKey]:
    """The signing keys of a JWK set by key id; others, and RSA keys too short, are left out. Raises ValueError."""
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("not a JWK set: an object with a list of keys would be right")  # noqa: TRY004 - of data
    usable = {entry["kid"]: key for entry in document["keys"] if (key := _signing_key(entry)) is not None}
    if not usable:
        raise ValueError(f"holds no RSA signing key of {MIN_KEY_BITS} bits or more with a kid")
    return usable


def _signing_key(entry: object) -> RSAKey | None:
    if not isinstance(entry, dict) or entry.get("kty") != "RSA" or entry.get("use", "sig") != "sig":
        return None
    kid, modulus, exponent = entry.get("kid"), entry.get("n"), entry.get("e")
    if not isinstance(kid, str) or not isinstance(modulus, str) or not isinstance(exponent, str):
        return None
    if len(modulus) * 6 < MIN_KEY_BITS:  # base64: six bits a character
        return None
    try:
        return RSAKey.import_key({"kty": "RSA", "n": modulus, "e": exponent})
    except (JoseError, ValueError):
        return None


@asynccontextmanager
async def open_keys(url: str, registry: CollectorRegistry | None = None) -> AsyncGenerator[RemoteKeys]:
    """Keys that are kept fresh in the background for as long as the block lasts; auth may be away at the start."""
    limits = httpx2.Limits(max_connections=2, max_keepalive_connections=1)
    async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits, follow_redirects=False) as client:
        keys = RemoteKeys(url, client=client, registry=registry)
        async with running(keys.keep_fresh, "jwks"):
            yield keys
