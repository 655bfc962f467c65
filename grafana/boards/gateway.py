"""The only way in: pods behind it, tokens, limits, and what it answers itself."""

from grafana.boards import shared
from grafana.panels import RED, Board, Row, series, stat
from grafana.queries import gateway

BOARD = Board(
    uid="slipway-gateway",
    title="Slipway / Gateway",
    description="The only way in: what it forwards, refuses and leaves alone.",
    source="gateway_upstream_pods",
    rows=(
        Row(
            "Now",
            (
                shared.RATE_NOW,
                shared.FAILED_NOW,
                shared.P99_NOW,
                stat("Pods behind it", "By the name that it looks up.", "short", (gateway.PODS, "{{upstream}}")),
                stat(
                    "Left alone now",
                    "Pods that failed too often lately.",
                    "short",
                    (gateway.EJECTED, "{{upstream}}"),
                    thresholds=((1, RED),),
                    runbook="PodsEjected",
                ),
                stat(
                    "Tokens remembered",
                    "Share of checks that cost no signature.",
                    "percentunit",
                    (gateway.REMEMBERED_RATIO, "{{service}}"),
                    maximum=1,
                ),
            ),
        ),
        Row(
            "Requests",
            (
                shared.BY_STATUS,
                shared.BY_ROUTE,
                shared.QUANTILES,
            ),
        ),
        Row(
            "Pods behind it",
            (
                series(
                    "Forwarded", "Requests a second, by upstream.", "reqps", (gateway.UPSTREAM_RATE, "{{upstream}}")
                ),
                series(
                    "Until the head of the answer",
                    "Median and slowest percent of the pods.",
                    "s",
                    (gateway.UPSTREAM_P50, "{{upstream}} p50"),
                    (gateway.UPSTREAM_P99, "{{upstream}} p99"),
                    exemplars=True,
                ),
                series(
                    "Failures",
                    "Requests that a pod did not answer: connect, broken, slow.",
                    "ops",
                    (gateway.UPSTREAM_FAILURES, "{{upstream}} {{reason}}"),
                    runbook="PodsEjected",
                    quiet="no pod failed",
                ),
                series(
                    "Pods",
                    "Behind each name, and left alone.",
                    "short",
                    (gateway.PODS, "{{upstream}}"),
                    (gateway.EJECTED, "{{upstream}} left alone"),
                    width=6,
                    runbook="PodsEjected",
                ),
                series(
                    "Ejections",
                    "A second, by upstream and by pod.",
                    "ops",
                    (gateway.EJECTIONS, "{{upstream}}"),
                    (gateway.EJECTIONS_BY_POD, "{{upstream}} {{exported_pod}}"),
                    width=6,
                    runbook="PodsEjected",
                    quiet="no pod was left alone",
                ),
                series(
                    "Second attempts",
                    "At another pod; refused: the budget was used up.",
                    "ops",
                    (gateway.RETRIES, "{{upstream}} {{result}}"),
                    width=6,
                    runbook="RetriesRefused",
                    quiet="no second attempt",
                ),
                series(
                    "Connections kept",
                    "To pods, by pod of the gateway.",
                    "short",
                    (gateway.CONNECTIONS, "{{pod}}"),
                    width=6,
                ),
            ),
        ),
        Row(
            "Tokens and limits",
            (
                series("Token checks", "By result.", "reqps", (gateway.TOKEN_CHECKS, "{{result}}"), width=6),
                series(
                    "Who decided about limits",
                    "All but state: the limit store was away.",
                    "reqps",
                    (gateway.LIMITS_DECIDED, "{{by}}"),
                    width=6,
                    stacked=True,
                    runbook="LimitStoreGone",
                ),
                series(
                    "Refused by limits",
                    "By route and by whom they count.",
                    "reqps",
                    (gateway.LIMITS_REFUSED, "{{route}} per {{per}}"),
                    width=6,
                    quiet="nobody asked too often",
                ),
                series(
                    "Refused by the gateway",
                    "By reason; no service was asked.",
                    "reqps",
                    (gateway.REFUSED, "{{reason}}"),
                    width=6,
                    runbook="GatewaySheds",
                    quiet="nothing refused",
                ),
            ),
        ),
        Row(
            "Saturation",
            (
                shared.IN_FLIGHT.wide(6),
                series(
                    "Look-ups of names", "By result.", "ops", (gateway.RESOLUTIONS, "{{upstream}} {{result}}"), width=6
                ),
                shared.PROCESSOR.wide(6),
                shared.LAG.wide(6),
            ),
        ),
    ),
)
