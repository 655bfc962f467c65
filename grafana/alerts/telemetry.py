"""What watches: traces that do not arrive."""

from grafana.alerts.model import BY, Alert, Proof, labels, series

_DROPPED = f"sum by ({BY}) (rate(traces_spans_dropped_total[10m]))"
_SENT = f"sum by ({BY}) (rate(traces_spans_sent_total[10m]))"

ALERTS = (
    Alert(
        "TracesDropped",
        f"{_DROPPED} > 0",
        10,
        "warning",
        "{{ $labels.service }} drops spans: traces have holes",
        Proof({series("traces_spans_dropped_total"): "0x4 60+60x40"}, 15, labels("items")),
    ),
    Alert(
        "CollectorGone",
        f"{_DROPPED} > 0 and {_SENT} == 0",
        5,
        "warning",
        "No span of {{ $labels.service }} reaches the collector",
        Proof(
            {series("traces_spans_dropped_total"): "0x4 60+60x40", series("traces_spans_sent_total"): "90x50"},
            10,
            labels("items"),
        ),
    ),
)
