"""The services behind the gateway: their pods, looked up again and again, and the way of a request to one of them."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import structlog

from services.common.tasks import every, running
from services.gateway.balancer import choose
from services.gateway.client import Request, Response, UpstreamClient
from services.gateway.client_spans import ClientSpans
from services.gateway.exceptions import BrokenAnswerError, ConnectError, SlowAnswerError, UpstreamError
from services.gateway.metrics import GatewayMetrics
from services.gateway.pods import Pod
from services.gateway.resolver import NobodyError, Resolve
from services.gateway.retries import IDEMPOTENT, RetryBudget

log = structlog.get_logger()

LOOK_AGAIN_SECONDS = 0.25  # between two looks for a service that has no pods, however many ask for it
LOOK_PATIENCE_SECONDS = 1.0  # of a request, for such a look


class Exchange:
    """An answer, and the pod that is busy with it until `close`."""

    def __init__(self, pod: Pod, response: Response) -> None:
        """Take both."""
        self.pod = pod
        self.response = response

    def close(self) -> None:
        """Be done with it. Again does nothing."""
        if self.pod is not None:
            self.response.close()
            self.pod.end()
            self.pod = None  # type: ignore[assignment] # it is not ours any more


class Upstream:
    """One service by its URL. Several routes share it, with what it knows of its pods."""

    def __init__(
        self,
        url: str,
        *,
        client: UpstreamClient,
        resolve: Resolve,
        metrics: GatewayMetrics,
        slow_start_seconds: float,
        name: str | None = None,
        budget: RetryBudget | None = None,
        spans: ClientSpans | None = None,
    ) -> None:
        """Take the URL, how its host is looked up, and what people call the service."""
        parts = urlsplit(url)
        self.host, self.port = str(parts.hostname), parts.port or 80
        self.authority = parts.netloc
        self.name = name or parts.netloc  # in logs and metrics
        self.pods: dict[str, Pod] = {}
        self.resolved = False
        self._client = client
        self._resolve = resolve
        self._metrics = metrics
        self._slow_start_seconds = slow_start_seconds
        self._budget = budget or RetryBudget()
        self._spans = spans or ClientSpans(None)
        self._looking = asyncio.Lock()
        self._looks = 0
        self._looked_at = float("-inf")

    async def look_up(self) -> None:
        """Compare the pods with what the name says now; without an answer keep those that are known."""
        async with self._looking:
            await self._look()

    async def _find_some(self) -> None:
        """Look at once for a service that was without pods: its first may just have come.

        All who ask meanwhile wait for the one answer, and nobody looks again right after it.
        """
        looks = self._looks
        try:
            async with asyncio.timeout(LOOK_PATIENCE_SECONDS), self._looking:
                if self._looks == looks and time.monotonic() >= self._looked_at + LOOK_AGAIN_SECONDS:
                    await self._look()
        except TimeoutError:  # a name server that is slow is for `look_up` to wait for
            self._looked_at = time.monotonic()

    async def _look(self) -> None:
        self._client.sweep()
        await self._ask_for_pods()
        self._looks += 1
        self._looked_at = time.monotonic()

    async def _ask_for_pods(self) -> None:
        try:
            addresses = await self._resolve(self.host, self.port)
        except NobodyError:
            addresses = []
        except (OSError, TimeoutError) as error:
            log.warning("upstream_not_resolved", upstream=self.name, reason=str(error) or type(error).__name__)
            self._metrics.resolutions.labels(self.name, "failed").inc()
            return
        self._metrics.resolutions.labels(self.name, "resolved").inc()
        self._know(addresses)

    def _know(self, addresses: Iterable[str]) -> None:
        found = set(addresses)
        born = time.monotonic() if self.pods else None  # all are equally new at first
        for address in found - self.pods.keys():
            self.pods[address] = Pod((address, self.port), born=born)
        for address in self.pods.keys() - found:
            self._client.forget(self.pods.pop(address).address)
        self.resolved = True
        self._metrics.pods.labels(self.name).set(len(self.pods))

    async def send(self, request: Request) -> Exchange:
        """Have a request answered. Raises UpstreamError, ClientGoneError, and what its body raises.

        A request that met a dead pod is tried once more elsewhere: any, when not a byte of it was sent; an idempotent
        one also when the connection ended before any of the answer, if its body is still at hand.
        """
        self._budget.request()
        if not self.pods:
            await self._find_some()
        pod = self._choose(())
        try:
            return await self._ask(pod, request)
        except (ConnectError, BrokenAnswerError) as error:
            if not may_retry(request, error) or not self._spend():
                raise
            other = self._choose((pod,))
        return await self._ask(other, request, attempt=1)

    def _choose(self, without: tuple[Pod, ...]) -> Pod:
        pods = self.pods.values()
        now = time.monotonic()
        pod = choose(pods, now, slow_start_seconds=self._slow_start_seconds, without=without)
        pod = pod or choose(pods, now, slow_start_seconds=self._slow_start_seconds)  # there is no other
        if pod is None:
            raise ConnectError("it has no pods")
        return pod

    def _spend(self) -> bool:
        granted = self._budget.take()
        self._metrics.retries.labels(self.name, "sent" if granted else "refused").inc()
        return granted

    async def _ask(self, pod: Pod, request: Request, attempt: int = 0) -> Exchange:
        pod.begin()
        started = time.perf_counter()
        try:
            with self._spans.asking(pod.address, request, attempt) as asked:
                response = await self._client.send(pod.address, asked.request)
                asked.answered(response.status)
        except UpstreamError as error:
            pod.end()
            self._failed(pod, error)
            raise
        except BaseException:
            pod.end()
            raise
        pod.succeeded()
        self._metrics.upstream_seconds.labels(self.name).observe(time.perf_counter() - started)
        return Exchange(pod, response)

    def _failed(self, pod: Pod, error: UpstreamError) -> None:
        reasons = {ConnectError: "connect", BrokenAnswerError: "broken", SlowAnswerError: "slow"}
        reason = reasons[type(error)]
        self._metrics.upstream_failures.labels(self.name, reason).inc()
        log.warning("upstream_failed", upstream=self.name, pod=pod.address[0], reason=reason, error=str(error))
        if pod.failed(time.monotonic(), refused=reason == "connect"):
            self._metrics.ejections.labels(self.name).inc()
            self._client.forget(pod.address)


def may_retry(request: Request, error: UpstreamError) -> bool:
    """Whether sending the request again does no harm whatever became of it."""
    if isinstance(error, ConnectError):
        return True
    unanswered = isinstance(error, BrokenAnswerError) and not error.begun
    return unanswered and request.method in IDEMPOTENT and request.body.replayable and not request.upgrade


async def all_resolved(upstreams: Iterable[Upstream]) -> None:
    """Raise unless every name has been looked up once; a readiness check. A service without pods is no reason."""
    waiting = [upstream.name for upstream in upstreams if not upstream.resolved]
    if waiting:
        raise LookupError(f"{', '.join(waiting)} not looked up yet")


@asynccontextmanager
async def looked_up(
    upstreams: Iterable[Upstream], client: UpstreamClient, *, every_seconds: float
) -> AsyncGenerator[None]:
    """Look the names up now, and again for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        stack.callback(client.close)
        for upstream in upstreams:
            looking = partial(every, every_seconds, upstream.look_up, failed="upstream_not_looked_up")
            await stack.enter_async_context(running(looking, f"resolver {upstream.authority}"))
        yield
