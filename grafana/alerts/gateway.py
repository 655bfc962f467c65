"""The gateway, and limits wherever they are counted."""

from grafana.alerts.model import BY, Alert, Proof, labels, series

_EJECTED = "gateway_upstream_ejected"
_PODS = "gateway_upstream_pods"

ALERTS = (
    Alert(
        "LimitStoreGone",
        f'sum by ({BY}) (rate(gateway_limits_decided_total{{by!="state"}}[2m])) > 0'
        f' or sum by ({BY}) (rate(limits_decided_total{{by!="state"}}[2m])) > 0',
        2,
        "critical",
        "{{ $labels.service }} decides about limits without `state`: they count per pod, or not at all",
        Proof({series("gateway_limits_decided_total", "gateway", by="local"): "0x4 60+60x30"}, 7, labels("gateway")),
    ),
    Alert(
        "PodsEjected",
        f"max by (namespace, upstream) ({_EJECTED}) / max by (namespace, upstream) ({_PODS} > 0) >= 0.5",
        5,
        "critical",
        "The gateway leaves half of the pods of {{ $labels.upstream }} alone",
        Proof(
            {
                series(_EJECTED, "gateway", upstream="items:8000"): "0x4 1x20",
                series(_PODS, "gateway", upstream="items:8000"): "2x30",
            },
            10,
            {"namespace": "slipway", "upstream": "items:8000"},
        ),
    ),
    Alert(
        "RetriesRefused",
        f'sum by ({BY}, upstream) (rate(gateway_upstream_retries_total{{result="refused"}}[5m])) > 0',
        5,
        "warning",
        "So many requests to {{ $labels.upstream }} fail that the budget of second attempts is used up",
        Proof(
            {
                series(
                    "gateway_upstream_retries_total", "gateway", upstream="items:8000", result="refused"
                ): "0x4 9+9x30"
            },
            10,
            labels("gateway", upstream="items:8000"),
        ),
    ),
    Alert(
        "GatewaySheds",
        f'sum by ({BY}) (rate(gateway_requests_refused_total{{reason="overloaded"}}[5m])) > 0',
        5,
        "critical",
        "The gateway refuses requests because too many are in flight",
        Proof(
            {series("gateway_requests_refused_total", "gateway", reason="overloaded"): "0x4 9+9x30"},
            10,
            labels("gateway"),
        ),
    ),
    Alert(
        "NamesNotResolved",
        f'sum by ({BY}, upstream) (rate(gateway_upstream_resolutions_total{{result="failed"}}[5m])) > 0',
        5,
        "warning",
        "The gateway cannot look up {{ $labels.upstream }}: it goes on with the pods that it knew",
        Proof(
            {
                series(
                    "gateway_upstream_resolutions_total", "gateway", upstream="items:8000", result="failed"
                ): "0x4 9+9x30"
            },
            10,
            labels("gateway", upstream="items:8000"),
        ),
    ),
)
