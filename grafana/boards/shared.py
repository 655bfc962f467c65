"""Panels that more than one dashboard shows."""

from grafana.panels import ORANGE, RED, series, stat, table
from grafana.queries import http, pools, runtime

FAILED = ((0.001, ORANGE), (0.01, RED))
SLOW = ((0.5, ORANGE), (1, RED))
LAGGING = ((0.25, RED),)
BURNS = "ErrorBudgetBurnsFast"

RATE_NOW = stat("Requests a second", "All of them.", "reqps", (http.RATE, "{{service}}"))
FAILED_NOW = stat(
    "Failed",
    "Answers 5xx, as a share of all.",
    "percentunit",
    (http.ERROR_RATIO, "{{service}}"),
    thresholds=FAILED,
    runbook=BURNS,
)
P99_NOW = stat(
    "99th percentile",
    "Of the time to the last byte.",
    "s",
    (http.P99, "{{service}}"),
    thresholds=SLOW,
    runbook="AnswersSlow",
)

BY_STATUS = series("By status", "Requests a second.", "reqps", (http.RATE_BY_STATUS, "{{status}}"), stacked=True)
BY_ROUTE = series("By route", "The busiest twelve.", "reqps", (http.RATE_BY_HANDLER, "{{method}} {{handler}}"))
ERRORS = series(
    "Failed requests",
    "Answers 5xx, as a share of all.",
    "percentunit",
    (http.ERROR_RATIO, "{{service}}"),
    thresholds=((0.01, RED),),
    runbook=BURNS,
)
QUANTILES = series(
    "Quantiles",
    "Of the time to the last byte.",
    "s",
    (http.P50, "{{service}} p50"),
    (http.P95, "{{service}} p95"),
    (http.P99, "{{service}} p99"),
    exemplars=True,
    runbook="AnswersSlow",
)
P99_BY_ROUTE = series(
    "Slowest percent, by route",
    "The slowest twelve.",
    "s",
    (http.P99_BY_HANDLER, "{{method}} {{handler}}"),
    exemplars=True,
)
IN_FLIGHT = series("In flight", "Streams apart.", "short", (http.IN_FLIGHT_BY_KIND, "{{kind}}"))

PROCESSOR = series(
    "Processor", "Cores in use, by pod.", "short", (runtime.CPU_BY_POD, "{{pod}}"), runbook="ProcessorThrottled"
)
MEMORY = series("Memory", "Resident, by pod.", "bytes", (runtime.MEMORY_BY_POD, "{{pod}}"), runbook="MemoryNearLimit")
LAG = series(
    "Lag of the event loop",
    "By pod.",
    "s",
    (runtime.LOOP_LAG_BY_POD, "{{pod}}"),
    thresholds=LAGGING,
    runbook="EventLoopLags",
)
RUNNING_SINCE = series(
    "Running since", "A fall to nothing is a restart.", "s", (runtime.UPTIME, "{{pod}}"), runbook="PodRestarts"
)

POOL = series(
    "Connections held",
    "And the size of the pools.",
    "short",
    (pools.BUSY, "{{service}} held"),
    (pools.SIZE, "{{service}} at most"),
    runbook="DatabasePoolExhausted",
)
POOL_WAIT = series(
    "Wait for a connection",
    "Median and slowest percent.",
    "s",
    (pools.WAIT_P50, "{{service}} p50"),
    (pools.WAIT_P99, "{{service}} p99"),
    runbook="DatabasePoolExhausted",
)
POOL_FAILURES = series(
    "Failures and refusals",
    "By reason; timeouts of the pool beside them.",
    "ops",
    (pools.FAILURES, "{{service}} {{reason}}"),
    (pools.TIMEOUTS, "{{service}} pool timeouts"),
    runbook="DatabaseFails",
)
CHECKS = table(
    "Readiness checks", "1 passes.", (runtime.CHECKS, "passes", "short"), width=8, runbook="ReadinessCheckFails"
)
