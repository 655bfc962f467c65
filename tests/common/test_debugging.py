"""The walk of docs/debugging.md, on the fault that the sample service has: from a slow route to the line at fault."""

import re

import httpx2
import pytest

from tests.common.operating import OPERATE, management, operated
from tests.common.sample import main
from tests.support.clients import app_client
from tests.support.processes import ROOT
from tests.support.tokens import Issuer, KeyServer
from tests.support.traces import serving
from tests.support.waits import until

PAGE = ROOT / "docs" / "debugging.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="images have no documents")
REPORT = "/v1/sample/report"
EXEMPLAR = re.compile(r'handler="/v1/sample/report".*# \{trace_id="([0-9a-f]{32})"\}')


def mended(words: int) -> str:
    """What the page puts in its place."""
    return "".join(str(number % 10) for number in range(words))


async def test_the_walk_leads_from_the_slow_route_to_the_function_and_the_fix_is_seen(
    issuer: Issuer, jwks: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        app, operator = operated(issuer, jwks, profiling=True), issuer.headers(scope=OPERATE)
        server = management(app)
        async with app_client(app) as client:
            for _ in range(5):
                await client.get(REPORT)

            # the dashboard: which route is slow, and one of its traces
            assert mean_seconds(app.state.registry) > 0.005
            with server.running():
                url = f"http://127.0.0.1:{server.server_address[1]}/metrics"
                asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
                async with httpx2.AsyncClient(timeout=30) as scraper:
                    text = (await scraper.get(url, headers=asked)).text
            trace_id = EXEMPLAR.findall(text)[-1]

            # the trace: all of the time is the service's own, nobody else was asked
            await until(lambda: collector.trees(trace_id), "the trace")
            (tree,) = collector.trees(trace_id)
            assert (tree.attribute("http.route"), tree.children) == (REPORT, [])

            # the profile: the function
            profile = await client.get(REPORT, headers={**operator, "X-Profile": "sample cprofile"})
            assert "planted_slow_function" in profile.text

            # the fix, and the same number again
            before = mean_seconds(app.state.registry)
            assert mended(3000) == main.planted_slow_function(3000)
            monkeypatch.setattr(main, "planted_slow_function", mended)
            means = []
            for _ in range(10):  # the best of some: a busy machine stops now and then
                since = taken(app.state.registry)
                for _ in range(20):
                    await client.get(REPORT)
                means.append(mean_seconds(app.state.registry, since))
            assert min(means) < before / 2


def taken(registry: object) -> tuple[float, float]:
    """All the time that the route took, and for how many requests."""
    labels = {"method": "GET", "handler": REPORT}
    total, count = (
        registry.get_sample_value(f"http_request_duration_seconds_{part}", labels)  # type: ignore[attr-defined]
        for part in ("sum", "count")
    )
    return total, count


def mean_seconds(registry: object, since: tuple[float, float] = (0, 0)) -> float:
    """How long the route takes, as `rate(…_sum) / rate(…_count)` has it."""
    total, count = taken(registry)
    return (total - since[0]) / (count - since[1])


@pytest.mark.parametrize(
    "word",
    ["planted_slow_function", "X-Profile: sample", "/log-level", "/profile?seconds=", "make trace", "platform:operate"],
)
def test_the_page_says_what_is_there(word: str) -> None:
    assert word in PAGE.read_text(encoding="utf-8")
