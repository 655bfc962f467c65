"""What every query is narrowed by: the variables at the top of a dashboard."""

SCOPE = 'namespace=~"$namespace", service=~"$service", pod=~"$pod"'
"""Series of the chosen pods. Prometheus' own labels: each target is scraped with them."""

RANGE = "[$__rate_interval]"
"""Grafana's: long enough for four scrapes and one step of the picture."""


def rate(metric: str, labels: str = "") -> str:
    """How fast a counter of the chosen pods grows, a second."""
    return f"rate({metric}{{{SCOPE}{', ' if labels else ''}{labels}}}{RANGE})"


def gauge(metric: str, labels: str = "") -> str:
    """A gauge of the chosen pods."""
    return f"{metric}{{{SCOPE}{', ' if labels else ''}{labels}}}"


def quantile(share: float, histogram: str, by: str = "service") -> str:
    """A quantile of a histogram without `_bucket`, in its own unit."""
    return f"histogram_quantile({share}, sum by ({by}, le) ({rate(f'{histogram}_bucket')}))"


def ratio(part: str, whole: str, by: str = "service") -> str:
    """A share of counters' rates, 0 where the part has no series yet, as before the first error."""
    total = f"sum by ({by}) ({whole})"
    return f"(sum by ({by}) ({part}) or 0 * {total}) / {total}"
