"""Service level objectives: the share of good answers, and how fast what is allowed to fail is used up.

Two windows each, after the workbook on site reliability: the long one says that it matters, the short one that it still
goes on. The budget is that of 30 days.
"""

from grafana.alerts.model import Alert, Proof, Record, labels, series, share

NAMESPACE = "slipway"
OBJECTIVES = {"gateway": 0.999, "auth": 0.999, "items": 0.999}
"""Share of requests that must not get 5xx; the chart takes its own from services.<name>.objective."""
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
REQUESTS = "http_requests_total"

OBJECTIVE_RECORDS = tuple(
    Record("slipway:slo_objective:ratio", f"vector({objective})", {"namespace": NAMESPACE, "service": service})
    for service, objective in OBJECTIVES.items()
)
RECORDS = tuple(
    Record(
        f"slipway:http_errors:ratio_rate{window}",
        share(f'rate({REQUESTS}{{status=~"5.."}}[{window}])', f"rate({REQUESTS}[{window}])"),
    )
    for window in WINDOWS
)


def burning(factor: float, long: str, short: str) -> str:
    """The budget is used up so many times too fast, over the long window and still over the short one."""
    allowed = f"on (namespace, service) {factor} * (1 - slipway:slo_objective:ratio)"
    return f"(slipway:http_errors:ratio_rate{long} > {allowed} and slipway:http_errors:ratio_rate{short} > {allowed})"


_GOOD, _BAD = series(REQUESTS, status="200"), series(REQUESTS, status="500")

ALERTS = (
    Alert(
        "ErrorBudgetBurnsFast",
        f"{burning(14.4, '1h', '5m')} or {burning(6, '6h', '30m')}",
        2,
        "critical",
        "{{ $labels.service }} answers so many 5xx that a month's error budget is gone within days",
        # of 60 requests a minute 6 fail from minute 361 on: after 9 minutes 1.5 % of an hour's
        Proof({_GOOD: "0+60x360 21654+54x60", _BAD: "0+0x360 6+6x60"}, 371, labels("items")),
    ),
    Alert(
        "ErrorBudgetBurnsSlowly",
        f"{burning(3, '1d', '2h')} or {burning(1, '3d', '6h')}",
        60,
        "warning",
        "{{ $labels.service }} answers more 5xx than its objective allows",
        # 0.5 % fail all the time: over five times what is allowed, but under the fast alert's six
        Proof({_GOOD: "0+995x200", _BAD: "0+5x200"}, 61, labels("items")),
    ),
)
