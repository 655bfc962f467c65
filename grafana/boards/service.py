"""One service, whichever: its requests by route, its processes, its pool, its tokens, its telemetry."""

from grafana.boards import shared
from grafana.panels import RED, Board, Row, series, stat, table
from grafana.queries import http, runtime

BOARD = Board(
    uid="slipway-service",
    title="Slipway / Service",
    description="One service in depth; choose it above.",
    source="slipway_build_info",
    rows=(
        Row(
            "Now",
            (
                stat("Pods", "That were scraped.", "short", (runtime.PODS, "{{service}}")),
                shared.RATE_NOW,
                shared.FAILED_NOW,
                shared.P99_NOW,
                stat("In flight", "Without streams.", "short", (http.IN_FLIGHT, "{{service}}")),
                stat(
                    "Checks failing",
                    "Readiness checks that fail now.",
                    "short",
                    (runtime.CHECKS_FAILING, "{{service}}"),
                    thresholds=((1, RED),),
                    runbook="ReadinessCheckFails",
                ),
            ),
        ),
        Row(
            "Rate",
            (
                shared.BY_STATUS,
                shared.BY_ROUTE,
                series("By pod", "Even lines are good balance.", "reqps", (http.RATE_BY_POD, "{{pod}}")),
            ),
        ),
        Row(
            "Errors",
            (
                series(
                    "Failed, by route",
                    "Share of each route's requests that got 5xx.",
                    "percentunit",
                    (http.ERROR_RATIO_BY_HANDLER, "{{handler}}"),
                    runbook="ErrorBudgetBurnsFast",
                ),
                series("Refused (4xx)", "As a share of all.", "percentunit", (http.CLIENT_ERROR_RATIO, "{{service}}")),
                series(
                    "Never became a request",
                    "Refused by the protocol: too long, malformed.",
                    "reqps",
                    (http.NOT_HTTP, "{{service}} {{status}}"),
                    quiet="nothing refused",
                ),
            ),
        ),
        Row(
            "Duration",
            (
                shared.QUANTILES,
                shared.P99_BY_ROUTE,
                series(
                    "Slowest percent, by pod",
                    "One line above the others is a sick pod.",
                    "s",
                    (http.P99_BY_POD, "{{pod}}"),
                ),
            ),
        ),
        Row(
            "Saturation",
            (
                shared.IN_FLIGHT.wide(6),
                shared.PROCESSOR.wide(6),
                shared.MEMORY.wide(6),
                shared.LAG.wide(6),
                series(
                    "Open files",
                    "As a share of what is allowed.",
                    "percentunit",
                    (runtime.OPEN_FILES, "{{pod}}"),
                    width=6,
                ),
                series(
                    "Garbage collections",
                    "A second, by generation.",
                    "ops",
                    (runtime.COLLECTIONS, "generation {{generation}}"),
                    width=6,
                ),
                shared.RUNNING_SINCE.wide(6),
                series(
                    "Traces and log lines",
                    "Spans sent and dropped, lines left out by sampling.",
                    "ops",
                    (runtime.SPANS_SENT, "{{service}} spans sent"),
                    (runtime.SPANS_DROPPED, "{{service}} spans dropped"),
                    (runtime.LINES_LEFT_OUT, "{{service}} lines left out"),
                    width=6,
                    runbook="TracesDropped",
                ),
            ),
        ),
        Row(
            "Postgres, as the service sees it",
            (
                shared.POOL,
                shared.POOL_WAIT,
                shared.POOL_FAILURES,
            ),
        ),
        Row(
            "Tokens and readiness",
            (
                series(
                    "Silence of revocations",
                    "Since `state` was last heard; above 5 s a new one may be unknown.",
                    "s",
                    (runtime.REVOCATION_SILENCE, "{{service}}"),
                    thresholds=((5, RED),),
                    runbook="RevocationsSilent",
                ),
                series(
                    "Lag of revocations",
                    "From recorded to applied here, slowest percent.",
                    "s",
                    (runtime.REVOCATION_LAG, "{{service}}"),
                    runbook="RevocationsLate",
                    quiet="nothing was revoked",
                ),
                series(
                    "Revocations",
                    "Applied, and requests that they refused.",
                    "ops",
                    (runtime.REVOCATIONS_APPLIED, "{{service}} applied"),
                    (runtime.REVOKED_REFUSED, "{{service}} refused"),
                ),
                shared.CHECKS,
                series(
                    "Fetches of the key set",
                    "By result.",
                    "ops",
                    (runtime.KEY_FETCHES, "{{service}} {{result}}"),
                    runbook="TokenKeysAway",
                ),
                table(
                    "Revocations in force",
                    "Known to each service.",
                    (runtime.REVOCATIONS_KNOWN, "known", "short"),
                    width=8,
                ),
            ),
        ),
    ),
)
