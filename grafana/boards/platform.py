"""All services on one screen: rate, errors, duration, saturation, and what is left of the error budget."""

from grafana.boards import shared
from grafana.panels import GREEN, ORANGE, RED, Board, Row, bars, series, stat, table
from grafana.queries import http, objectives, pools, runtime

BOARD = Board(
    uid="slipway-platform",
    title="Slipway / Platform",
    description="All services on one screen: rate, errors, duration, saturation, error budget.",
    source="slipway_build_info",
    rows=(
        Row(
            "Now",
            (
                stat(
                    "Pods that answer the scrape",
                    "Pods by service.",
                    "short",
                    (http.TARGETS_UP, "{{service}}"),
                    width=6,
                    runbook="TargetDown",
                ),
                stat("Requests a second", "All requests, by service.", "reqps", (http.RATE, "{{service}}"), width=6),
                stat(
                    "Failed requests",
                    "Answers 5xx, as a share of all.",
                    "percentunit",
                    (http.ERROR_RATIO, "{{service}}"),
                    width=6,
                    thresholds=((0.001, ORANGE), (0.01, RED)),
                    runbook="ErrorBudgetBurnsFast",
                ),
                bars(
                    "Error budget left",
                    "Of the last three days, by the objective of each service; 0 is used up.",
                    "percentunit",
                    (objectives.BUDGET_LEFT, "{{service}}"),
                    width=6,
                    height=4,
                    maximum=1,
                    thresholds=((-1000, RED), (0, ORANGE), (0.25, GREEN)),
                    runbook="ErrorBudgetBurnsSlowly",
                ),
            ),
        ),
        Row(
            "Rate, errors, duration",
            (
                series("Requests a second", "By service.", "reqps", (http.RATE, "{{service}}")),
                shared.ERRORS,
                series(
                    "Slowest percent",
                    "99th percentile of the time to the last byte.",
                    "s",
                    (http.P99, "{{service}}"),
                    thresholds=((1, RED),),
                    exemplars=True,
                    runbook="AnswersSlow",
                ),
            ),
        ),
        Row(
            "Saturation",
            (
                series("Requests in flight", "Without streams.", "short", (http.IN_FLIGHT, "{{service}}"), width=6),
                series(
                    "Connections held",
                    "Of each service's pools, as a share of their size.",
                    "percentunit",
                    (pools.BUSY_RATIO, "{{service}}"),
                    width=6,
                    maximum=1,
                    thresholds=((0.9, RED),),
                    runbook="DatabasePoolExhausted",
                ),
                series(
                    "Lag of the event loop",
                    "How much later than asked the slowest loop woke.",
                    "s",
                    (runtime.LOOP_LAG, "{{service}}"),
                    width=6,
                    thresholds=((0.25, RED),),
                    runbook="EventLoopLags",
                ),
                series("Processor", "Cores in use.", "short", (runtime.CPU, "{{service}}"), width=6),
            ),
        ),
        Row(
            "Error budget and alerts",
            (
                series(
                    "Burn rate",
                    "1: the budget lasts exactly its month; 14.4: two days of it in one hour.",
                    "short",
                    (objectives.BURN_RATE, "{{service}}"),
                    width=12,
                    thresholds=((1, ORANGE), (14.4, RED)),
                    runbook="ErrorBudgetBurnsFast",
                ),
                table(
                    "Alerts firing",
                    "What wakes somebody now.",
                    (objectives.FIRING, "firing", "short"),
                    width=12,
                    quiet="no alert fires",
                ),
            ),
        ),
        Row(
            "Services",
            (
                table(
                    "Services",
                    "Each on one line.",
                    (runtime.PODS, "pods", "short"),
                    (http.RATE, "requests", "reqps"),
                    (http.ERROR_RATIO, "failed", "percentunit"),
                    (http.CLIENT_ERROR_RATIO, "refused (4xx)", "percentunit"),
                    (http.P50, "median", "s"),
                    (http.P99, "99th percentile", "s"),
                    (runtime.MEMORY, "memory", "bytes"),
                    (runtime.CHECKS_FAILING, "checks failing", "short"),
                    height=6,
                ),
            ),
        ),
    ),
)
