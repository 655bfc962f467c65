"""Reading queries: what they ask for, and what they are once variables have values."""

import pytest

from grafana import promql


@pytest.mark.parametrize(
    ("expr", "names"),
    [
        ("up", {"up"}),
        ('sum by (service) (rate(a_total{b="c", d=~"e|f"}[$__rate_interval]))', {"a_total"}),
        ("a / on (x) group_left (y) (b > 0) or 0 * c", {"a", "b", "c"}),
        ("histogram_quantile(0.99, sum by (le) (rate(x_bucket[5m])))", {"x_bucket"}),
        ("x offset 1d and slipway:y:z > 1e6", {"x", "slipway:y:z"}),
        ("vector(0.999)", set()),
        ('label_replace(up, "a", "$1", "b", "c(d)")', {"up"}),
    ],
)
def test_metrics_are_told_from_functions_labels_and_words(expr: str, names: set[str]) -> None:
    assert promql.metrics(expr) == names


def test_variables_and_the_interval_get_values() -> None:
    expr = 'rate(a{service=~"$service", pod=~"${pod}"}[$__rate_interval])'

    assert promql.filled(expr, {"service": "items"}, interval="20s") == 'rate(a{service=~"items", pod=~".*"}[20s])'


def test_a_variable_without_a_value_is_named() -> None:
    with pytest.raises(ValueError, match="cluster has no value"):
        promql.filled('up{cluster="$cluster"}')
